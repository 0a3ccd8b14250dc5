# The core, twice from the same objects: quire_core with every symbol, for the tests; and quire, the library,
# whose one relocatable object leaves nothing global but quire_*.

file(GLOB QUIRE_CORE_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/core/*/*.c)
quire_sources(QUIRE_CORE_SOURCES)

add_library(quire_core STATIC ${QUIRE_CORE_SOURCES})
set_target_properties(quire_core PROPERTIES LINKER_LANGUAGE C)
target_link_libraries(quire_core PRIVATE $<BUILD_INTERFACE:quire_flags_core> PUBLIC quire_interface)

set(QUIRE_OBJECT ${PROJECT_BINARY_DIR}/quire-core.o)
add_custom_command(
	OUTPUT ${QUIRE_OBJECT}
	COMMAND ${CMAKE_LINKER} -r -o ${QUIRE_OBJECT} --whole-archive $<TARGET_FILE:quire_core>
	COMMAND ${CMAKE_OBJCOPY} --wildcard --keep-global-symbol=quire_* ${QUIRE_OBJECT}
	DEPENDS quire_core
	COMMENT "Linking the core into one object"
	VERBATIM)
add_library(quire STATIC ${QUIRE_OBJECT})
set_source_files_properties(${QUIRE_OBJECT} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
set_target_properties(quire PROPERTIES LINKER_LANGUAGE C)
target_link_libraries(quire PUBLIC quire_interface)
add_library(quire::quire ALIAS quire)
