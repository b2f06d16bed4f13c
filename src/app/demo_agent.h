#pragma once

namespace ebpf_ai_monitor {

// The simulated agent of `demo`. In its terminal, it behaves like a full-screen agent: it waits for
// a prompt, works with an animation, asks, gets an answer, continues to work, and waits again. It
// exits on 'q'.
int run_demo_agent();

// The name with which it must be started, so that the demo recognizes it.
constexpr const char* demo_agent_name = "demo-agent";

}  // namespace ebpf_ai_monitor
