/* syncer.c - epochs of fsync, one thread for each file system
 * SPDX-License-Identifier: Apache-2.0
 *
 * Writeback is started on all files before the first is waited for, so the device works on them
 * together, and one journal commit often serves many. */
#include "base/base.h"
#include "index/syncer.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#define AT_ONCE 16 /* files in an epoch from which on one sync of all is cheaper */

typedef struct Item Item;
struct Item {
  Item        *next;
  int          fd;
  GStrv        folders;
  EkSyncedFunc func;
  gpointer     data;
  GError      *error;                /* NULL: good so far */
};

typedef struct {                     /* one file system */
  EkSyncer       *syncer;
  dev_t           dev;
  pthread_t       thread;
  pthread_cond_t  work, room;
  Item           *first, **last;     /* the next epoch */
  guint           waiting;           /* also those being synced */
  bool            stop;
} Device;

struct EkSyncer {
  pthread_mutex_t lock;              /* all below, and the devices' queues */
  guint           pending_max;
  bool            syncfs;
  GPtrArray      *devices;
  EkSyncerCounts  counts;
};

/* ---- the thread ---- */

static void
fail (Item *item, int code, const char *what, const char *path)
{
  ek_fail (&item->error, EK_DEFER, code, "cannot sync %s %s: %s", what, path, g_strerror (code));
}

/* Each folder once; whoever lies in a folder that failed has failed. */
static guint
sync_folders (Item *items)
{
  g_autoptr (GHashTable) done = g_hash_table_new (g_str_hash, g_str_equal);

  for (Item *i = items; i; i = i->next)
    for (guint k = 0; i->folders[k] && !i->error; k++) {
      gpointer known, code;
      if (!g_hash_table_lookup_extended (done, i->folders[k], &known, &code)) {
        int fd = open (i->folders[k], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        code = GINT_TO_POINTER (fd < 0 || fsync (fd) < 0 ? errno : 0);
        if (fd >= 0)
          close (fd);
        g_hash_table_insert (done, i->folders[k], code);
      }
      if (code)
        fail (i, GPOINTER_TO_INT (code), "the folder", i->folders[k]);
    }
  return g_hash_table_size (done);
}

/* Since Linux 5.8 syncfs() reports errors; before, it must not be believed. */
static bool
syncfs_reports (void)
{
  struct utsname u;
  int major = 0, minor = 0;

  return uname (&u) == 0 && sscanf (u.release, "%d.%d", &major, &minor) == 2
         && (major > 5 || (major == 5 && minor >= 8));
}

/* Waits for the bytes of each file, then one sync for all; false: it did not work, sync each. */
static bool
sync_at_once (Item *items)
{
  const guint all
      = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;

  for (Item *i = items; i; i = i->next)
    if (sync_file_range (i->fd, 0, 0, all) < 0) {
      if (errno != EIO && errno != ENOSPC && errno != EDQUOT)
        return false;
      fail (i, errno, "a message in",
            i->folders[0]); /* told once: a later fsync may say that all is well */
    }
  return syncfs (items->fd) == 0;
}

static guint64
sync_each (Item *items)
{
  guint64 n = 0;

  for (Item *i = items; i; i = i->next, n++)
    if (!i->error && fsync (i->fd) < 0)
      fail (i, errno, "a message in", i->folders[0]);
  return n + sync_folders (items);
}

static void
epoch (Device *device, Item *items)
{
  EkSyncer *syncer = device->syncer;
  EkSyncerCounts counts = { .epochs = 1 };

  for (Item *i = items; i; i = i->next, counts.files++)
    sync_file_range (i->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
  if (counts.files >= AT_ONCE && syncer->syncfs && sync_at_once (items))
    counts.syncs = 1;
  else
    counts.syncs = sync_each (items);
  for (Item *i = items; i; i = i->next)
    counts.failures += i->error != NULL;
  pthread_mutex_lock (&syncer->lock);
  syncer->counts.epochs += counts.epochs;
  syncer->counts.files += counts.files;
  syncer->counts.syncs += counts.syncs;
  syncer->counts.failures += counts.failures;
  device->waiting -= (guint) counts.files;
  pthread_cond_broadcast (&device->room);
  pthread_mutex_unlock (&syncer->lock);
  for (Item *next; items; items = next) {
    next = items->next;
    items->func (items->error ? EK_DEFER : EK_OK, items->error, items->data);
    close (items->fd);
    g_clear_error (&items->error);
    g_strfreev (items->folders);
    g_free (items);
  }
}

static void *
run (void *data)
{
  Device *device = data;
  EkSyncer *syncer = device->syncer;

  pthread_setname_np (pthread_self (), "ek-sync");
  for (;;) {
    pthread_mutex_lock (&syncer->lock);
    while (device->first == NULL && !device->stop)
      pthread_cond_wait (&device->work, &syncer->lock);
    Item *items = device->first;
    device->first = NULL;
    device->last = &device->first;
    pthread_mutex_unlock (&syncer->lock);
    if (items == NULL)
      return NULL;
    epoch (device, items);
  }
}

/* ---- for everyone ---- */

EkSyncer *
ek_syncer_new (guint pending_max)
{
  EkSyncer *syncer = g_new0 (EkSyncer, 1);

  pthread_mutex_init (&syncer->lock, NULL);
  syncer->pending_max = pending_max ? pending_max : 1024;
  syncer->syncfs = syncfs_reports ();
  syncer->devices = g_ptr_array_new_with_free_func (g_free);
  return syncer;
}

void
ek_syncer_free (EkSyncer *syncer)
{
  if (syncer == NULL)
    return;
  for (guint i = 0; i < syncer->devices->len; i++) {
    Device *device = syncer->devices->pdata[i];
    pthread_mutex_lock (&syncer->lock);
    device->stop = true;
    pthread_cond_signal (&device->work);
    pthread_mutex_unlock (&syncer->lock);
    pthread_join (device->thread, NULL);
    pthread_cond_destroy (&device->work);
    pthread_cond_destroy (&device->room);
  }
  g_ptr_array_unref (syncer->devices);
  pthread_mutex_destroy (&syncer->lock);
  g_free (syncer);
}

/* The device's entry, with a thread; NULL: errno.  Under the lock. */
static Device *
device_for (EkSyncer *syncer, dev_t dev)
{
  for (guint i = 0; i < syncer->devices->len; i++)
    if (((Device *) syncer->devices->pdata[i])->dev == dev)
      return syncer->devices->pdata[i];
  Device *device = g_new0 (Device, 1);
  device->syncer = syncer;
  device->dev = dev;
  device->last = &device->first;
  pthread_cond_init (&device->work, NULL);
  pthread_cond_init (&device->room, NULL);
  int code = pthread_create (&device->thread, NULL, run, device);
  if (code == 0) {
    g_ptr_array_add (syncer->devices, device);
    return device;
  }
  pthread_cond_destroy (&device->work);
  pthread_cond_destroy (&device->room);
  g_free (device);
  errno = code;
  return NULL;
}

EkStatus
ek_syncer_add (EkSyncer *syncer, int fd, const char *const *folders, EkSyncedFunc func,
               gpointer data, GError **error)
{
  struct stat st;
  Device *device = NULL;

  pthread_mutex_lock (&syncer->lock);
  if (fstat (fd, &st) == 0)
    device = device_for (syncer, st.st_dev);
  int code = errno;
  while (device && device->waiting >= syncer->pending_max)
    pthread_cond_wait (&device->room, &syncer->lock);
  if (device) {
    Item *item = g_new0 (Item, 1);
    *item = (Item) { .fd = fd, .folders = g_strdupv ((GStrv) folders), .func = func, .data = data };
    *device->last = item;
    device->last = &item->next;
    device->waiting++;
  }
  pthread_mutex_unlock (&syncer->lock);
  if (device) {                      /* devices live as long as the syncer */
    pthread_cond_signal (&device->work);
    return EK_OK;
  }
  close (fd);
  return ek_fail (error, EK_DEFER, code, "cannot hand a message over to be synced: %s",
                  g_strerror (code));
}

void
ek_syncer_counts (EkSyncer *syncer, EkSyncerCounts *counts)
{
  pthread_mutex_lock (&syncer->lock);
  *counts = syncer->counts;
  pthread_mutex_unlock (&syncer->lock);
}
