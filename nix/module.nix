{
  config,
  lib,
  pkgs,
  ...
}:

let
  cfg = config.services.ebpf-ai-monitor;
  inherit (lib) mkOption types;
  toml = pkgs.formats.toml { };

  # The configuration file's keys: each has an option of its own, or a type to check `settings` by.
  keys = {
    user = types.listOf types.str;
    processes = types.listOf processName;
    wait-threshold = milliseconds;
    log-level = logLevel;
    probes = types.enum [
      "auto"
      "tracepoint"
      "fentry"
    ];
    notifications = types.bool;
    notify-after = seconds;
    remind-after = seconds;
    urgent = types.bool;
    urgent-questions = types.bool;
    keep-attention = types.enum [
      "seen"
      "answered"
    ];
    notify-command = types.path;
    # For `diagnose` and `mcp`, which read it themselves.
    commands = types.attrsOf types.anything;
  };
  # The type of a list does not check its elements.
  fits =
    type: value:
    type.check value && (!builtins.isList value || builtins.all type.nestedTypes.elemType.check value);
  processName = types.strMatching "[^/,]{1,15}";
  milliseconds = types.either (types.enum [ "auto" ]) (types.ints.between 1 3600000);
  seconds = types.ints.between 0 86400;
  logLevel = types.enum [
    "trace"
    "debug"
    "info"
    "warn"
    "error"
    "off"
  ];

  fromOptions = {
    user = cfg.users;
    processes = cfg.processes;
    wait-threshold = cfg.waitThreshold;
    log-level = cfg.logLevel;
    notifications = cfg.notifications.enable;
    notify-after = cfg.notifications.after;
    remind-after = cfg.notifications.remindAfter;
    urgent = cfg.notifications.urgent;
    urgent-questions = cfg.notifications.urgentQuestions;
    keep-attention = cfg.notifications.keepAttention;
    notify-command = cfg.notifications.command;
  };
  settings = lib.filterAttrs (name: value: value != null) fromOptions // cfg.settings;
  configFile = toml.generate "config.toml" (
    # An empty list means every user, or every agent; then the file has no such key.
    lib.filterAttrs (name: value: value != [ ]) settings
  );
  agentsFile = toml.generate "agents.toml" cfg.agents;
in
{
  options.services.ebpf-ai-monitor = {
    enable = lib.mkEnableOption "the daemon that tells which AI agents wait for their users";
    package = lib.mkPackageOption pkgs "ebpf-ai-monitor" { };
    users = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "ada" ];
      description = "Watch only the agents of these users. If empty, of every user.";
    };
    processes = mkOption {
      type = types.listOf processName;
      default = [ ];
      example = [
        "claude"
        "codex"
      ];
      description = "Watch only these agents, by names of at most 15 bytes each. If empty, every known agent.";
    };
    agents = mkOption {
      type = types.attrsOf types.anything;
      default = { };
      example = {
        my-agent = {
          names = [ "my-agent" ];
          display-name = "My Agent";
        };
      };
      description = "More agents, and changes to known ones: see ebpf-ai-monitor-agents(5).";
    };
    waitThreshold = mkOption {
      type = milliseconds;
      default = 1000;
      description = "An agent that is silent for this many milliseconds is waiting. With \"auto\", less is enough for a fast animation.";
    };
    logLevel = mkOption {
      type = logLevel;
      default = "info";
      description = "Which messages go into the log.";
    };
    notifications = {
      enable = mkOption {
        type = types.nullOr types.bool;
        default = null;
        description = "Whether to send desktop notifications. null: the program's default.";
      };
      after = mkOption {
        type = types.nullOr seconds;
        default = null;
        description = "Send no notification at the end of work that took less than this many seconds.";
      };
      remindAfter = mkOption {
        type = types.nullOr seconds;
        default = null;
        description = "Send the notification again if the user has not looked within this many seconds, then after twice that time, and so on. 0: never.";
      };
      urgent = mkOption {
        type = types.nullOr types.bool;
        default = null;
        description = "Whether to have Sway mark the window as urgent.";
      };
      urgentQuestions = mkOption {
        type = types.nullOr types.bool;
        default = null;
        description = "Whether notifications of questions have the urgency critical.";
      };
      keepAttention = mkOption {
        type = types.nullOr (types.enum [
          "seen"
          "answered"
        ]);
        default = null;
        description = "How long an agent that has finished or asks needs attention: until the user has seen it, or answered it.";
      };
      command = mkOption {
        type = types.nullOr types.path;
        default = null;
        description = "The path of a program that each user's bridge runs for each notification.";
      };
    };
    settings = mkOption {
      type = types.attrsOf types.anything;
      default = { };
      example = {
        wait-threshold = 1500;
      };
      description = "Keys of ebpf-ai-monitor-config(5). They override the options above.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions =
      lib.mapAttrsToList (name: value: {
        assertion = keys ? ${name} && fits keys.${name} value;
        message =
          if keys ? ${name} then
            "services.ebpf-ai-monitor.settings.${name}: ${builtins.toJSON value} is not ${keys.${name}.description}"
          else
            "services.ebpf-ai-monitor.settings.${name} is not a setting; there are ${lib.concatStringsSep ", " (builtins.attrNames keys)}";
      }) cfg.settings
      ++ map (name: {
        assertion = config.users.users ? ${name};
        message = "services.ebpf-ai-monitor.users: there is no user ${name} in users.users";
      }) cfg.users;

    environment.systemPackages = [ cfg.package ];
    environment.etc."ebpf-ai-monitor/config.toml".source = configFile;
    environment.etc."ebpf-ai-monitor/agents.toml".source = agentsFile;
    services.dbus.packages = [ cfg.package ];

    # The unit of the package, with what only NixOS knows.
    systemd.packages = [ cfg.package ];
    systemd.services.ebpf-ai-monitor = {
      wantedBy = [ "multi-user.target" ];
      reloadTriggers = [ configFile ];
      # A reload keeps the kernel programs, and the table of agents.
      restartTriggers = [
        (settings.probes or "auto")
        agentsFile
      ];
      # A restart keeps what a daemon leaves to the next; a stop and a start do not.
      stopIfChanged = false;
      path = [ pkgs.tmux ];
      serviceConfig = {
        # The empty value removes that of the package's unit.
        ExecStart = [
          ""
          "${cfg.package}/bin/ebpf-ai-monitor daemon"
        ];
        ExecReload = [
          ""
          "${pkgs.coreutils}/bin/kill -HUP $MAINPID"
        ];
      };
    };
  };
}
