# Completion for bash. All words come from --help, so that they cannot differ from the program.
_ebpf_ai_monitor() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} help values=
  local -a command=()
  [[ $COMP_CWORD -gt 1 ]] && command=("${COMP_WORDS[1]}")
  [[ $COMP_CWORD -gt 2 && ${command[0]} == diagnose && ${COMP_WORDS[2]} != -* ]] && command+=("${COMP_WORDS[2]}")
  help=$(ebpf-ai-monitor "${command[@]}" --help 2> /dev/null)
  COMPREPLY=()
  # "  --probes auto|fentry|tracepoint", "  --user NAME"
  [[ $previous == --* ]] && values=$(sed -nE "s/^  $previous ([a-z|]+|NAME)( .*|$)/\1/p" <<< "$help")
  if [[ $current == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$(sed -nE 's/^  (-[a-z],)?(--[a-z][a-z-]*).*/\2/p' <<< "$help")" -- "$current")
  elif [[ $previous == --user ]]; then
    mapfile -t COMPREPLY < <(compgen -u -- "$current")
  elif [[ $values == *'|'* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "${values//|/ }" -- "$current")
  elif [[ $previous == focus ]]; then
    mapfile -t COMPREPLY < <(compgen -W next -- "$current")
  elif [[ ${#command[@]} -eq 0 || (${command[*]} == diagnose && $COMP_CWORD -eq 2) ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$(sed -nE 's/^  ([a-z]+) .*/\1/p' <<< "$help")" -- "$current")
  else
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
  fi
}
complete -o filenames -F _ebpf_ai_monitor ebpf-ai-monitor
