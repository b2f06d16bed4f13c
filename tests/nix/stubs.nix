# As much of nixpkgs' lib and pkgs as nix/module.nix uses, and a small evaluation of a module: types are
# checked and a wrong value is told of with its option, as NixOS does it. There is no nixpkgs without a network.
let
  type = description: check: { inherit description check; };
  # An option's value is looked at to its depth, as nixpkgs does when it merges definitions.
  fits =
    type: value:
    type.check value && (!builtins.isList value || builtins.all type.nestedTypes.elemType.check value);
in
rec {
  types = {
    str = type "string" builtins.isString;
    path = type "absolute path" (value: builtins.isPath value || (builtins.isString value && builtins.substring 0 1 value == "/"));
    bool = type "boolean" builtins.isBool;
    anything = type "anything" (value: true);
    enum = values: type "one of ${builtins.toJSON values}" (value: builtins.elem value values);
    ints.between =
      low: high:
      type "integer between ${toString low} and ${toString high}" (
        value: builtins.isInt value && low <= value && value <= high
      );
    strMatching =
      pattern:
      type "string matching ${pattern}" (
        value: builtins.isString value && builtins.match pattern value != null
      );
    either =
      one: other:
      type "${one.description} or ${other.description}" (value: one.check value || other.check value);
    listOf =
      element:
      type "list of ${element.description}" builtins.isList // { nestedTypes.elemType = element; };
    nullOr =
      other: type "null or ${other.description}" (value: value == null || other.check value);
    attrsOf =
      element:
      type "attributes of ${element.description}" builtins.isAttrs;
    package = type "package" builtins.isAttrs;
  };

  lib = {
    inherit types;
    mkOption = option: option // { isOption = true; };
    mkEnableOption =
      description:
      lib.mkOption {
        inherit description;
        type = types.bool;
        default = false;
      };
    mkPackageOption =
      pkgs: name: { }:
      lib.mkOption {
        type = types.package;
        default = pkgs.${name};
      };
    mkIf = condition: content: if condition then content else { };
    mapAttrsToList = make: set: map (name: make name set.${name}) (builtins.attrNames set);
    filterAttrs =
      keep: set:
      removeAttrs set (
        builtins.filter (name: !(keep name set.${name})) (builtins.attrNames set)
      );
    concatStringsSep = builtins.concatStringsSep;
  };

  pkgs = {
    ebpf-ai-monitor = {
      outPath = "/package";
    };
    coreutils = "/coreutils";
    tmux = "/tmux";
    formats.toml = { }: {
      generate = name: value: {
        inherit name value;
      };
    };
  };

  # The values of `given` in the form of `options`, with the defaults.
  fill =
    path: options: given:
    let
      unknown = builtins.filter (name: !(options ? ${name})) (builtins.attrNames given);
    in
    if unknown != [ ] then
      throw "The option `${path}.${builtins.head unknown}' does not exist"
    else
      builtins.mapAttrs (
        name: option:
        let
          here = "${path}.${name}";
          value = given.${name} or option.default;
        in
        if !(option ? isOption) then
          fill here option (given.${name} or { })
        else if fits option.type value then
          value
        else
          throw "A definition for option `${here}' is not of type `${option.type.description}': ${builtins.toJSON value}"
      ) options;

  # The module's own part of a system's configuration; throws what NixOS would.
  evaluate =
    { given, users ? { } }:
    let
      module = import ../../nix/module.nix { inherit config lib pkgs; };
      config = {
        users.users = users;
        services.ebpf-ai-monitor =
          fill "services.ebpf-ai-monitor" module.options.services.ebpf-ai-monitor
            given;
      };
      failed = builtins.filter (it: !it.assertion) (module.config.assertions or [ ]);
    in
    # Every option is looked at, also one that nothing uses.
    builtins.deepSeq config.services.ebpf-ai-monitor (
      if failed != [ ] then throw (builtins.head failed).message else removeAttrs module.config [ "assertions" ]
    );

  # What nix/package.nix is built from, in a nixpkgs that has the packages `others` beside those that it asks for.
  inputs =
    others:
    let
      make = import ../../nix/package.nix;
      asked = builtins.functionArgs make;
      required = builtins.filter (name: !asked.${name}) (builtins.attrNames asked);
      named = builtins.listToAttrs (map (name: { inherit name; value = name; }) (required ++ others));
      packages = named // {
        lib = {
          cleanSource = source: source;
          makeBinPath = toString;
          licenses.mit = "mit";
        };
        stdenv.mkDerivation = made: made;
        llvmPackages.clang-unwrapped = "clang";
      };
    in
    # As callPackage does it.
    (make (builtins.intersectAttrs asked packages)).buildInputs;
}
