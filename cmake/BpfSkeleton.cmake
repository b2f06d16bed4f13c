# add_bpf_skeleton(NAME): bpf/NAME.bpf.c -> <build>/bpf/NAME.skel.h, as the interface library bpf_NAME.
#
# Needs neither root nor the BTF of the building machine: the programs declare the kernel structures
# they use themselves, and CO-RE relocates them when they are loaded.
find_program(CLANG clang REQUIRED)
find_program(BPFTOOL bpftool PATHS /usr/sbin /sbin REQUIRED)
# For a BPF target, clang has no directory with <asm/types.h>; that of the target machine fits.
find_path(KERNEL_HEADERS asm/types.h PATH_SUFFIXES ${CMAKE_LIBRARY_ARCHITECTURE} REQUIRED)

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)")
  set(BPF_TARGET_ARCH arm64)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)")
  set(BPF_TARGET_ARCH x86)
else()
  message(FATAL_ERROR "no BPF target for ${CMAKE_SYSTEM_PROCESSOR}: x86_64 and aarch64 are supported")
endif()

function(add_bpf_skeleton name)
  set(source ${PROJECT_SOURCE_DIR}/bpf/${name}.bpf.c)
  set(object ${PROJECT_BINARY_DIR}/bpf/${name}.bpf.o)
  set(skeleton ${PROJECT_BINARY_DIR}/bpf/${name}.skel.h)
  get_target_property(libbpf_includes PkgConfig::LIBBPF INTERFACE_INCLUDE_DIRECTORIES)
  if(NOT libbpf_includes)
    set(libbpf_includes)
  endif()
  list(TRANSFORM libbpf_includes PREPEND -I)

  # -mcpu=v3: atomics with a result (Linux 5.12). Unused parameters are part of what BPF_PROG makes.
  add_custom_command(
    OUTPUT ${object}
    COMMAND ${CLANG} -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Wno-unused-parameter
            $<$<BOOL:${CMAKE_COMPILE_WARNING_AS_ERROR}>:-Werror>
            -D__TARGET_ARCH_${BPF_TARGET_ARCH} -I${PROJECT_SOURCE_DIR}/include ${libbpf_includes}
            -idirafter ${KERNEL_HEADERS} -MD -MF ${object}.d -c ${source} -o ${object}
    DEPENDS ${source}
    DEPFILE ${object}.d
    COMMAND_EXPAND_LISTS
    VERBATIM)
  add_custom_command(
    OUTPUT ${skeleton}
    COMMAND ${BPFTOOL} gen skeleton ${object} name ${name}_bpf > ${skeleton}
    DEPENDS ${object}
    VERBATIM)
  add_custom_target(bpf_${name}_skeleton DEPENDS ${skeleton})
  add_library(bpf_${name} INTERFACE)
  add_dependencies(bpf_${name} bpf_${name}_skeleton)
  # SYSTEM: generated code, not held to this project's warnings.
  target_include_directories(bpf_${name} SYSTEM INTERFACE ${PROJECT_BINARY_DIR}/bpf)
  target_link_libraries(bpf_${name} INTERFACE PkgConfig::LIBBPF)
endfunction()
