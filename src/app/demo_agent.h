#pragma once

namespace ebpf_ai_monitor {

// The stand-in that `demo` watches: behaves in its terminal as a full-screen agent does. Waits for
// a prompt, works with an animation, asks, is answered, works on, waits again; ends on 'q'.
int run_demo_agent();

// As what it must be started for the demo to see it.
constexpr const char* demo_agent_name = "demo-agent";

}  // namespace ebpf_ai_monitor
