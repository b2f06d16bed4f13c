# Where cmake --install and the packages put which files. systemd and D-Bus look below /usr (and systemd below
# /usr/local): cmake --install build/release --prefix /usr.
install(FILES systemd/ebpf-ai-monitor.service DESTINATION lib/systemd/system)
install(FILES systemd/org.ebpf_ai_monitor1.conf DESTINATION ${CMAKE_INSTALL_DATADIR}/dbus-1/system.d)
install(FILES docs/badge.schema.json docs/diagnose-request.schema.json docs/diagnose-answer.schema.json docs/trace-format.md README.md CHANGELOG.md packaging/debian/copyright
        DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES docs/config.toml DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)
install(DIRECTORY examples/diagnose DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)
install(FILES data/agents.toml DESTINATION ${CMAKE_INSTALL_DATADIR}/ebpf-ai-monitor)
install(DIRECTORY data/icons DESTINATION ${CMAKE_INSTALL_DATADIR})
install(FILES completions/ebpf-ai-monitor.bash
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
        RENAME ebpf-ai-monitor)
install(FILES completions/_ebpf-ai-monitor DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(FILES completions/ebpf-ai-monitor.fish
        DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)

find_program(SCDOC scdoc REQUIRED)
file(GLOB man_sources RELATIVE ${PROJECT_SOURCE_DIR}/man CONFIGURE_DEPENDS man/*.scd)
foreach(source IN LISTS man_sources)
  string(REGEX MATCH "^(.*)\\.([0-9])\\.scd$" matched ${source})
  set(page ${PROJECT_BINARY_DIR}/man/${CMAKE_MATCH_1}.${CMAKE_MATCH_2}.gz)
  # scdoc reads standard input. With gzip -n, the same page always gives the same bytes.
  add_custom_command(
    OUTPUT ${page}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${PROJECT_BINARY_DIR}/man
    COMMAND sh -c "'${SCDOC}' < '${PROJECT_SOURCE_DIR}/man/${source}' | gzip -9n > '${page}'"
    DEPENDS man/${source}
    VERBATIM)
  list(APPEND man_pages ${page})
  install(FILES ${page} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${CMAKE_MATCH_2})
endforeach()
# A package's own changelog needs the date of its version: that of the latest version in CHANGELOG.md.
file(STRINGS CHANGELOG.md releases REGEX "^## \\[[0-9.]+\\] - ")
list(GET releases 0 latest)
string(REGEX MATCH "[0-9]+-[0-9]+-[0-9]+$" release_date "${latest}")
execute_process(COMMAND date --utc --rfc-email --date=${release_date} OUTPUT_VARIABLE release_date
                OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY ENCODING UTF-8)
configure_file(packaging/debian/changelog.in changelog)
add_custom_command(
  OUTPUT ${PROJECT_BINARY_DIR}/changelog.gz
  COMMAND gzip -9nkf ${PROJECT_BINARY_DIR}/changelog
  DEPENDS ${PROJECT_BINARY_DIR}/changelog
  VERBATIM)
install(FILES ${PROJECT_BINARY_DIR}/changelog.gz DESTINATION ${CMAKE_INSTALL_DOCDIR})
add_custom_target(documentation ALL DEPENDS ${man_pages} ${PROJECT_BINARY_DIR}/changelog.gz)

# cpack -G DEB, cpack -G RPM, in the build directory; or ./dev package.
set(CPACK_PACKAGE_VENDOR "The ebpf-ai-monitor developers")
set(CPACK_PACKAGE_CONTACT "The ebpf-ai-monitor developers <maintainers@ebpf-ai-monitor.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY ${PROJECT_DESCRIPTION})
set(CPACK_PACKAGE_DESCRIPTION
    "A daemon that knows from the kernel alone whether an AI coding agent in a
terminal works or waits, and shows it as a badge of the agent's Sway window.
No agent, shell or terminal is configured for it.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_VERBATIM_VARIABLES ON)

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION utils)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# The program is stripped, and its symbols are in ebpf-ai-monitor-dbgsym.
set(CPACK_DEBIAN_DEBUGINFO_PACKAGE ON)
# bubblewrap: the commands of diagnose run in it.
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "dbus, bubblewrap")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "sway, tmux")
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(packaging ${PROJECT_SOURCE_DIR}/packaging)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${packaging}/debian/postinst ${packaging}/debian/prerm
                                       ${packaging}/debian/postrm)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

set(CPACK_RPM_FILE_NAME RPM-DEFAULT)
set(CPACK_RPM_PACKAGE_LICENSE MIT)
# Only one generator needs CPACK_STRIP_FILES: the other one strips by itself, after it has saved the symbols.
set(CPACK_PROJECT_CONFIG_FILE ${packaging}/cpack.cmake)
# CPACK_RPM_PACKAGE_RECOMMENDS exists since CMake 3.31.
set(CPACK_RPM_SPEC_MORE_DEFINE "Recommends: bubblewrap")
set(CPACK_RPM_POST_INSTALL_SCRIPT_FILE ${packaging}/rpm/post)
set(CPACK_RPM_PRE_UNINSTALL_SCRIPT_FILE ${packaging}/rpm/preun)
set(CPACK_RPM_POST_UNINSTALL_SCRIPT_FILE ${packaging}/rpm/postun)
set(CPACK_RPM_EXCLUDE_FROM_AUTO_FILELIST_ADDITION
    /usr/lib/systemd /usr/lib/systemd/system /usr/share/bash-completion
    /usr/share/bash-completion/completions /usr/share/dbus-1 /usr/share/dbus-1/system.d /usr/share/fish
    /usr/share/fish/vendor_completions.d /usr/share/icons /usr/share/icons/hicolor
    /usr/share/icons/hicolor/scalable /usr/share/icons/hicolor/scalable/apps /usr/share/man /usr/share/man/man1 /usr/share/man/man5
    /usr/share/zsh /usr/share/zsh/site-functions)
include(CPack)
