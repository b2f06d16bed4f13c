# Completion for fish. All words come from --help, so that they cannot differ from the program.
function __ebpf_ai_monitor_command
    set --local words (commandline --tokenize --cut-at-cursor --current-process)
    test (count $words) -gt 1; and echo $words[2]
    test (count $words) -gt 2; and test $words[2] = diagnose; and string match --invert -- '-*' $words[3]
end

function __ebpf_ai_monitor_options
    ebpf-ai-monitor (__ebpf_ai_monitor_command) --help 2>/dev/null |
        string replace --filter --regex '^  (?:-[a-z],)?(--[a-z][a-z-]*) *(?:[A-Z]+ |[a-z]+(?:\|[a-z]+)+ ?)? *(.*)$' '$1\t$2'
end

function __ebpf_ai_monitor_commands
    ebpf-ai-monitor (__ebpf_ai_monitor_command) --help 2>/dev/null |
        string replace --filter --regex '^  ([a-z]+) +(.*)$' '$1\t$2'
end

# "  --probes auto|fentry|tracepoint"
function __ebpf_ai_monitor_values
    ebpf-ai-monitor (__ebpf_ai_monitor_command) --help 2>/dev/null |
        string replace --filter --regex "^  --$argv[1] ([a-z]+(?:\|[a-z]+)+)(?: .*|\$)" '$1' | string split '|'
end

complete --command ebpf-ai-monitor --condition 'contains "$(__ebpf_ai_monitor_command)" "" diagnose' --no-files \
    --arguments '(__ebpf_ai_monitor_commands)'
complete --command ebpf-ai-monitor --condition 'string match --quiet -- "-*" (commandline --current-token)' \
    --arguments '(__ebpf_ai_monitor_options)'
complete --command ebpf-ai-monitor --condition 'test "$(__ebpf_ai_monitor_command)" = focus' --no-files --arguments next
for option in format keep-attention log-level notifications probes urgent urgent-questions
    complete --command ebpf-ai-monitor --long-option $option --exclusive --arguments "(__ebpf_ai_monitor_values $option)"
end
complete --command ebpf-ai-monitor --long-option user --exclusive --arguments '(__fish_complete_users)'
