/* resolve.h - which instance answers ek_dns_query() in this process
 * SPDX-License-Identifier: Apache-2.0
 *
 * The role says so when it starts and after each reload.  Questions under way keep the instance that they
 * began with; what is remembered of the old one is forgotten.
 */
#pragma once
#include "module/generation.h"
#include "net/resolver.h"

/* NULL: none, every question is deferred with a text that says what to configure. */
void ek_dns_use (EkInstance *resolver);
/* The first instance of the generation that has a resolver table; false: there is none. */
bool ek_dns_use_generation (const EkGeneration *gen);
/* Whether there is one to ask. */
bool ek_dns_available (void);
/* Forgets everything; nothing may be under way. */
void ek_dns_forget (void);
/* For tests and `ekiden doctor`: answers kept now. */
guint ek_dns_cached (void);
