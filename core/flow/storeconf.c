/* storeconf.c - the blocks store { } and special "NAME" { }
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "flow/storeconf.h"
#include "flow/store.h"

static const EkOption store_rows[] = {
  EK_OPTION (EkStoreConf, index_open_max, "128", "How many users' indexes stay open in a process.", .allow = "1..100000"),
  EK_OPTION (EkStoreConf, separator, "\".\"", "Between the levels of mailbox names.", .allow = ".|/"),
  EK_OPTION (EkStoreConf, index_folder, "", "Where the indexes lie, with a folder for each user. Empty: with the mail."),
  EK_OPTION (EkStoreConf, mailboxes_max, "10000", "Most mailboxes of a user: beyond it CREATE is refused. Those that are there stay, and "
             "other programs may make more. 0: no limit.", .allow = "0..1000000"),
  EK_OPTION (EkStoreConf, connections, "50000", "Most sessions at once, for each process.", .allow = "1..1000000"),
  EK_OPTION (EkStoreConf, connections_per_user, "50", "Most sessions of one user from one address.", .allow = "1..100000"),
  EK_OPTIONS_END
};

const EkBlockType ek_store_block = {
  .kind = "store", .doc = "Mailboxes and their indexes.", .options = store_rows, .size = sizeof (EkStoreConf),
  .flags = EK_BLOCK_SINGLE, .roles = EK_ROLE_BIT (EK_ROLE_STORE),
};

static const EkOption special_rows[] = {
  EK_OPTION (EkSpecialConf, use, "", "Special use (RFC 6154): \\Drafts, \\Sent, \\Trash, \\Junk, \\Archive."),
  EK_OPTION (EkSpecialConf, create, "yes", "Whether each user has it from the start."),
  EK_OPTION (EkSpecialConf, subscribe, "yes", "Whether each user is subscribed to it from the start."),
  EK_OPTIONS_END
};

const EkBlockType ek_special_block = {
  .kind = "special", .doc = "A mailbox that each user has: special \"Sent\" { use = \\\\Sent }.",
  .options = special_rows, .size = sizeof (EkSpecialConf), .roles = EK_ROLE_BIT (EK_ROLE_STORE),
};

void
ek_store_blocks_register (void)
{
  ek_block_register (&ek_store_block);
  ek_block_register (&ek_special_block);
}
