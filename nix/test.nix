# A machine with the module: nix build .#checks.x86_64-linux.service
{ module }:
{
  name = "ebpf-ai-monitor";
  # The module adds its overlay to the machine's packages.
  node.pkgsReadOnly = false;
  nodes.machine =
    { pkgs, ... }:
    {
      imports = [ module ];
      users.users.ada = {
        isNormalUser = true;
        linger = true;
      };
      services.ebpf-ai-monitor = {
        enable = true;
        users = [ "ada" ];
        waitThreshold = 1500;
      };
      environment.systemPackages = [ pkgs.bpftools ];
    };
  testScript = ''
    machine.wait_for_unit("ebpf-ai-monitor.service")
    machine.succeed("ebpf-ai-monitor status --json | grep '\"sessions\": \\[\\]'")
    machine.succeed("grep 'wait-threshold = 1500' /etc/ebpf-ai-monitor/config.toml")
    machine.succeed("systemctl reload ebpf-ai-monitor.service")
    machine.succeed("bpftool prog show | grep process_exec")
    machine.succeed("systemctl stop ebpf-ai-monitor.service")
    machine.fail("bpftool prog show | grep process_exec")
  '';
}
