# Completion for bash. What there is comes from --help, so that it cannot differ from the program.
_ebpf_ai_monitor() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command=
  [[ $COMP_CWORD -gt 1 ]] && command=${COMP_WORDS[1]}
  COMPREPLY=()
  if [[ $current == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$(ebpf-ai-monitor $command --help 2> /dev/null | grep -oE -- '--[a-z][a-z-]*')" -- "$current")
  elif [[ -z $command ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$(ebpf-ai-monitor --help | sed -n '/^Subcommands:/,$ s/^  \([a-z]\+\) .*/\1/p')" -- "$current")
  elif [[ $previous == --log-level ]]; then
    mapfile -t COMPREPLY < <(compgen -W 'trace debug info warn error off' -- "$current")
  elif [[ $previous == --user ]]; then
    mapfile -t COMPREPLY < <(compgen -u -- "$current")
  else
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
  fi
}
complete -o filenames -F _ebpf_ai_monitor ebpf-ai-monitor
