# ekiden.bash - completion of ekiden(1) for bash
# SPDX-License-Identifier: Apache-2.0
_ekiden() {
  local cur=${COMP_WORDS[COMP_CWORD]} words=
  if [ "$COMP_CWORD" -eq 1 ]; then
    words='status reload stop upgrade reopen rekey queue mailq sendmail doctor fsck config module trace user pw completion'
  elif [ "$COMP_CWORD" -eq 2 ]; then
    case ${COMP_WORDS[1]} in
      queue) words='list show status flush hold release delete requeue' ;;
      config) words='check show set reference manual' ;;
      module) words='list show doc' ;;
      user) words='add passwd list delete' ;;
      completion) words='bash' ;;
      *) words='--help --json --config' ;;
    esac
  else
    case ${COMP_WORDS[1]} in
      queue) words="ALL deferred hold active $(ekiden mailq 2>/dev/null | grep -oE '^[0-9A-F]{16}')" ;;
      *) words='--help --json --config' ;;
    esac
  fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -o default -F _ekiden ekiden
