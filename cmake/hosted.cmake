# The hosted machine. It and the core call each other (the port): whoever links both puts them in one group.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(urcu REQUIRED IMPORTED_TARGET liburcu-memb)

file(GLOB_RECURSE QUIRE_HOSTED_SOURCES CONFIGURE_DEPENDS
	${PROJECT_SOURCE_DIR}/machines/softmmu/*.c ${PROJECT_SOURCE_DIR}/machines/lockorder/*.c
	${PROJECT_SOURCE_DIR}/machines/hosted/*.c)
quire_sources(QUIRE_HOSTED_SOURCES)

add_library(quire_hosted STATIC ${QUIRE_HOSTED_SOURCES})
set_target_properties(quire_hosted PROPERTIES LINKER_LANGUAGE C)
target_include_directories(quire_hosted PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>
	$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/machines/hosted>)
target_link_libraries(quire_hosted PRIVATE $<BUILD_INTERFACE:quire_flags_host>
	PUBLIC quire_interface PkgConfig::urcu Threads::Threads)
