# The quire command. All of it but main() is a library too, for the tests.

pkg_check_modules(jansson REQUIRED IMPORTED_TARGET jansson)

file(GLOB_RECURSE QUIRE_LAB_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/lab/*.c)
list(REMOVE_ITEM QUIRE_LAB_SOURCES ${PROJECT_SOURCE_DIR}/lab/main.c)
quire_sources(QUIRE_LAB_SOURCES)

add_library(quire_lab STATIC ${QUIRE_LAB_SOURCES})
set_target_properties(quire_lab PROPERTIES LINKER_LANGUAGE C)
target_include_directories(quire_lab PUBLIC ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/lab)
target_compile_definitions(quire_lab PRIVATE QUIRE_VERSION="${PROJECT_VERSION}")
target_link_libraries(quire_lab PRIVATE quire_flags_host PUBLIC quire_hosted PkgConfig::jansson)

if(EXISTS ${PROJECT_SOURCE_DIR}/lab/main.c)
	add_executable(quire_command lab/main.c)
	set_target_properties(quire_command PROPERTIES OUTPUT_NAME quire)
	target_compile_definitions(quire_command PRIVATE QUIRE_VERSION="${PROJECT_VERSION}")
	target_link_libraries(quire_command PRIVATE quire_flags_host
		-Wl,--start-group quire_lab quire_hosted quire -Wl,--end-group m)
endif()
