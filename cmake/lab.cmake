# The quire command. All of it but main() is a library too, for the tests.

pkg_check_modules(jansson REQUIRED IMPORTED_TARGET jansson)

file(GLOB_RECURSE QUIRE_LAB_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/lab/*.c)
list(REMOVE_ITEM QUIRE_LAB_SOURCES ${PROJECT_SOURCE_DIR}/lab/main.c)
list(FILTER QUIRE_LAB_SOURCES EXCLUDE REGEX "/lab/fuzz/agent/|/worker/|/lab/source\\.c")
quire_sources(QUIRE_LAB_SOURCES)

add_library(quire_lab STATIC ${QUIRE_LAB_SOURCES})
set_target_properties(quire_lab PROPERTIES LINKER_LANGUAGE C)
target_include_directories(quire_lab PUBLIC ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/lab)
target_compile_definitions(quire_lab PRIVATE QUIRE_VERSION="${PROJECT_VERSION}")
target_link_libraries(quire_lab PRIVATE quire_flags_host PUBLIC quire_hosted PkgConfig::jansson)

# The differential fuzzer's agent: a program without a library, at addresses of its own, carried inside the command.
set(agent ${PROJECT_SOURCE_DIR}/lab/fuzz/agent)
set(QUIRE_FUZZ_AGENT ${PROJECT_BINARY_DIR}/fuzz-agent)
file(GLOB agent_sources CONFIGURE_DEPENDS ${agent}/*.c)
file(GLOB agent_headers CONFIGURE_DEPENDS ${agent}/*.h)
add_custom_command(
	OUTPUT ${QUIRE_FUZZ_AGENT}
	COMMAND ${CMAKE_C_COMPILER} -std=gnu11 -O2 -Wall -Wextra -ffreestanding -fno-stack-protector -fno-pic -fno-pie
		-fno-asynchronous-unwind-tables -fcf-protection=none -mgeneral-regs-only -nostdlib -static -no-pie
		-Wl,-T,${agent}/agent.lds -Wl,--build-id=none -Wl,-z,noseparate-code
		-o ${QUIRE_FUZZ_AGENT} ${agent_sources}
	DEPENDS ${agent_sources} ${agent_headers} ${agent}/agent.lds ${PROJECT_SOURCE_DIR}/lab/fuzz/wire.h
	COMMENT "Building the fuzzer's agent"
	VERBATIM)
set_source_files_properties(${PROJECT_SOURCE_DIR}/lab/fuzz/oracle.c PROPERTIES
	OBJECT_DEPENDS ${QUIRE_FUZZ_AGENT} COMPILE_DEFINITIONS QUIRE_FUZZ_AGENT="${QUIRE_FUZZ_AGENT}")

# The page of `quire check --html`, carried inside the command.
set(page ${PROJECT_SOURCE_DIR}/lab/check/witness.html)
set_source_files_properties(${PROJECT_SOURCE_DIR}/lab/check/html.c PROPERTIES
	OBJECT_DEPENDS ${page} COMPILE_DEFINITIONS QUIRE_CHECK_PAGE="${page}")

# And that of `quire commute --html`.
set(page ${PROJECT_SOURCE_DIR}/lab/commute/commute.html)
set_source_files_properties(${PROJECT_SOURCE_DIR}/lab/commute/html.c PROPERTIES
	OBJECT_DEPENDS ${page} COMPILE_DEFINITIONS QUIRE_COMMUTE_PAGE="${page}")

if(EXISTS ${PROJECT_SOURCE_DIR}/lab/main.c)
	add_executable(quire_command lab/main.c)
	set_target_properties(quire_command PROPERTIES OUTPUT_NAME quire)
	target_compile_definitions(quire_command PRIVATE QUIRE_VERSION="${PROJECT_VERSION}")
	target_link_libraries(quire_command PRIVATE quire_flags_host
		-Wl,--start-group quire_lab quire_hosted quire -Wl,--end-group m)
endif()
