# ekiden.bash - completion of ekiden(1) for bash; the command itself knows the words
# SPDX-License-Identifier: Apache-2.0
_ekiden () {
  local line cur=${COMP_WORDS[COMP_CWORD]}
  COMPREPLY=()
  while IFS= read -r line; do
    line=${line%%$'\t'*}
    if [[ $line == "$cur"* ]]; then COMPREPLY+=("$line"); fi
  done < <("${COMP_WORDS[0]}" completion words -- "${COMP_WORDS[@]:1:COMP_CWORD-1}" 2>/dev/null)
}
complete -o default -F _ekiden ekiden
