/* options.c - the settings of an SMTP listener
 * SPDX-License-Identifier: Apache-2.0
 */
#include "smtp.h"

#define ROW(field_, ...) EK_OPTION (SmtpOptions, field_, __VA_ARGS__)

const EkOption smtp_server_options[] = {
  ROW (banner, "\"ESMTP Ekiden\"", "What follows 220 and the server's name in the greeting. RFC 5321 wants ESMTP in it."),
  ROW (tls, "starttls", "required: commands but EHLO, NOOP, STARTTLS and QUIT are refused before TLS. The other words are "
       "the listener's business.", .allow = "none|starttls|required|implicit"),
  ROW (submission, "no", "Rules of RFC 6409 for ports 587 and 465: nobody sends mail without a login, and what a message "
       "lacks in Date, From and Message-ID is added."),
  ROW (broken_auth_clients, "no", "Also say AUTH=PLAIN in the form that some old programs look for."),
  ROW (sender_login_match, "no", "Who has logged in may only give his own address in MAIL FROM."),
  ROW (vrfy, "yes", "Answer VRFY. no: 502."),
  ROW (etrn, "yes", "Offer ETRN and answer it: queued mail is tried by the queue's own schedule, so it is answered with 459."),
  ROW (helo_required, "yes", "Refuse MAIL before HELO or EHLO, as RFC 5321 does."),
  ROW (show_login, "no", "Write the login into the Received line of what was sent with one."),
  ROW (add_missing_headers, "local", "Add Date, From and Message-ID where a message lacks them. local: when it was sent with a "
       "login or from a trusted network.", .allow = "no|local|always"),
  ROW (bare_newlines, "strangers", "What to do about LF without CR, and CR without LF, which RFC 5321 forbids and SMTP "
       "smuggling lives on. reject: answer 521 and close. strangers: that, but normalise for trusted networks and who has "
       "logged in. normalize: LF becomes CRLF and CR a space. Whatever is chosen, only CRLF.CRLF ends a message.",
       .allow = "reject|strangers|normalize"),
  ROW (pipelining, "strict", "strict: who sends on behind EHLO, DATA, AUTH or STARTTLS without waiting for the answer is "
       "disconnected. lax: it is only logged.", .allow = "strict|lax"),
  ROW (greeting_delay, "0", "Pause before the greeting. Who speaks during it is refused: honest programs wait, spam "
       "programs often do not. 0: none.", .allow = "..1m"),
  ROW (idle_timeout, "5m", "How long a client may stay silent. RFC 5321 asks for 5 minutes.", .allow = "1s..1d"),
  ROW (error_delay, "1s", "Pause before each command of a client that has passed soft_error_limit.", .allow = "..1m"),
  ROW (message_size_limit, "50M", "Largest message. 0: none.", .allow = "..10G"),
  ROW (header_size_limit, "1M", "Largest header of a message.", .allow = "1K..100M"),
  ROW (headers_max, "10000", "Most fields in a message's header.", .allow = "10..1000000"),
  ROW (command_length_max, "2048", "Longest command. RFC 5321 asks for 512, extensions for about 1,500.",
       .allow = "512..8192"),
  ROW (recipients_max, "1000", "Most recipients of a message. RFC 5321 asks for 100 at least.", .allow = "1..100000"),
  ROW (hops_max, "50", "Received lines at which a message is in a loop.", .allow = "5..1000"),
  ROW (soft_error_limit, "10", "Errors after which a client is slowed down.", .allow = "1..1000"),
  ROW (hard_error_limit, "20", "Errors after which a client is disconnected.", .allow = "1..10000"),
  ROW (junk_command_limit, "100", "NOOP, RSET, VRFY, ETRN, EXPN and HELP without mail after which each counts as an error.",
       .allow = "1..100000"),
  ROW (data_rate_min, "500", "Octets a second that a client must reach on average, idle_timeout allowed on top, in a "
       "command or a message. 0: any rate will do.", .allow = "0..1000000000"),
  ROW (filters, "[]", "Instances that may refuse or change mail here, asked in this order.", .allow = "filter"),
  EK_OPTIONS_END
};
