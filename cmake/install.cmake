# What a consumer gets: libquire.a, the headers, a CMake package (find_package(quire), quire::quire) and quire.pc.

include(CMakePackageConfigHelpers)

install(TARGETS quire quire_interface EXPORT quire ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/quire DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(EXPORT quire NAMESPACE quire:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/quire FILE quire-targets.cmake)
if(TARGET quire_command)
	install(TARGETS quire_command RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
	install(DIRECTORY docs/man/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 FILES_MATCHING PATTERN "*.1")
	install(FILES completions/quire.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME quire)
endif()

file(WRITE ${PROJECT_BINARY_DIR}/quire-config.cmake
	"include(\"\${CMAKE_CURRENT_LIST_DIR}/quire-targets.cmake\")\n")
write_basic_package_version_file(${PROJECT_BINARY_DIR}/quire-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/quire-config.cmake ${PROJECT_BINARY_DIR}/quire-config-version.cmake
	DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/quire)

# From where it lies, so that `cmake --install build --prefix ELSEWHERE` and a moved tree are found too.
set(quire_pc_prefix ${CMAKE_INSTALL_PREFIX})
if(NOT IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
	file(RELATIVE_PATH quire_pc_prefix "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" /)
	set(quire_pc_prefix "\${pcfiledir}/${quire_pc_prefix}")
endif()
configure_file(cmake/quire.pc.in ${PROJECT_BINARY_DIR}/quire.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/quire.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
