libekiden_la_SOURCES += %D%/scheme.c %D%/scheme.h %D%/scheme-crypt.c %D%/scheme-digest.c %D%/scheme-pbkdf2.c %D%/scheme-shacrypt.c %D%/scheme-rank.c \
  %D%/scheme-builtin.h %D%/sasl.c %D%/sasl.h %D%/auth.c %D%/login.c %D%/remember.c %D%/rehash.c %D%/result.c %D%/result.h %D%/user.c %D%/penalty.c %D%/auth.h %D%/private.h
