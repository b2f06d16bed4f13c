# Completion for fish. What there is comes from --help, so that it cannot differ from the program.
function __ebpf_ai_monitor_command
    set --local words (commandline --tokenize --cut-at-cursor --current-process)
    test (count $words) -gt 1; and echo $words[2]
end

function __ebpf_ai_monitor_options
    ebpf-ai-monitor (__ebpf_ai_monitor_command) --help 2>/dev/null |
        string replace --filter --regex '^  (?:-[a-z],)?(--[a-z][a-z-]*) *(?:[A-Z]+ )?(.*)$' '$1\t$2'
end

function __ebpf_ai_monitor_commands
    ebpf-ai-monitor --help | sed '1,/^Subcommands:/d' |
        string replace --filter --regex '^  ([a-z]+) +(.*)$' '$1\t$2'
end

complete --command ebpf-ai-monitor --condition 'test -z (__ebpf_ai_monitor_command)' --no-files \
    --arguments '(__ebpf_ai_monitor_commands)'
complete --command ebpf-ai-monitor --condition 'string match --quiet -- "-*" (commandline --current-token)' \
    --arguments '(__ebpf_ai_monitor_options)'
complete --command ebpf-ai-monitor --long-option log-level --exclusive --arguments 'trace debug info warn error off'
complete --command ebpf-ai-monitor --long-option user --exclusive --arguments '(__fish_complete_users)'
