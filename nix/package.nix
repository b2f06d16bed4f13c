# Built without network, root, or the type information of the building machine's kernel.
{
  lib,
  stdenv,
  cmake,
  ninja,
  pkg-config,
  scdoc,
  llvmPackages,
  bpftools,
  linuxHeaders,
  libbpf,
  elfutils,
  zlib,
  systemd,
  sdbus-cpp,
  # In nixpkgs, the plain name means 1.x.
  sdbus-cpp_2 ? sdbus-cpp,
  spdlog,
  tl-expected,
  nlohmann_json,
  cli11,
  tomlplusplus,
  curl,
  libseccomp,
  libtraceevent,
  makeBinaryWrapper,
  bubblewrap,
  util-linux,
}:

stdenv.mkDerivation {
  pname = "ebpf-ai-monitor";
  # From CMakeLists.txt, so that it is in one place only.
  version = builtins.head (
    builtins.match ".*VERSION ([0-9]+\\.[0-9]+\\.[0-9]+).*" (
      builtins.replaceStrings [ "\n" ] [ " " ] (builtins.readFile ../CMakeLists.txt)
    )
  );
  src = lib.cleanSource ../.;

  nativeBuildInputs = [
    cmake
    ninja
    pkg-config
    scdoc
    # Not the wrapper: its flags are for this machine, not for BPF.
    llvmPackages.clang-unwrapped
    bpftools
    makeBinaryWrapper
  ];
  buildInputs = [
    libbpf
    elfutils
    zlib
    systemd
    sdbus-cpp_2
    spdlog
    tl-expected
    nlohmann_json
    cli11
    tomlplusplus
    curl
    libseccomp
    libtraceevent
  ];
  cmakeFlags = [
    "-DBUILD_TESTING=OFF"
    "-DKERNEL_HEADERS=${linuxHeaders}/include"
  ];

  # The commands of diagnose run in bwrap, as a user that setpriv changes to.
  postFixup = ''
    wrapProgram $out/bin/ebpf-ai-monitor --suffix PATH : ${
      lib.makeBinPath [
        bubblewrap
        util-linux
      ]
    }
  '';

  meta = {
    description = "Shows which AI agents wait for their users";
    license = lib.licenses.mit;
    platforms = [
      "x86_64-linux"
      "aarch64-linux"
    ];
    mainProgram = "ebpf-ai-monitor";
  };
}
