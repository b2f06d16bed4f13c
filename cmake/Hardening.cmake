# The hardening that Debian gives its packages (dpkg-buildflags, hardening=+all), also where nothing sets it:
# the programs run as root. Not for programs that only developers run, which compile faster without it.
include(CheckCXXCompilerFlag)
include(CheckPIESupported)
check_pie_supported(LANGUAGES CXX)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
# In some distributions, the compiler itself defines _FORTIFY_SOURCE, to another value. It needs optimisation.
add_compile_options("$<$<CONFIG:Release,RelWithDebInfo,MinSizeRel>:-U_FORTIFY_SOURCE;-D_FORTIFY_SOURCE=2>")
add_compile_definitions($<$<CONFIG:Release,RelWithDebInfo,MinSizeRel>:_GLIBCXX_ASSERTIONS>)
add_compile_options(-Wformat -Werror=format-security)
# Not every processor or compiler supports these flags. Without -Werror, Clang only warns about one that it does not use.
set(CMAKE_REQUIRED_FLAGS -Werror)
foreach(flag -fstack-protector-strong -fstack-clash-protection -fcf-protection -mbranch-protection=standard)
  string(MAKE_C_IDENTIFIER "HAS${flag}" has)
  check_cxx_compiler_flag(${flag} ${has})
  if(${has})
    add_compile_options($<$<COMPILE_LANGUAGE:CXX>:${flag}>)
  endif()
endforeach()
unset(CMAKE_REQUIRED_FLAGS)
add_link_options(LINKER:-z,relro,-z,now)
