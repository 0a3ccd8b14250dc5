# Compiler flags: quire_flags for all of the project's code, quire_flags_core and quire_flags_host on top of it.

add_library(quire_flags INTERFACE)
target_compile_options(quire_flags INTERFACE -Wall -Wextra -Wvla -Wstrict-prototypes -fno-common)
if(QUIRE_WERROR)
	target_compile_options(quire_flags INTERFACE -Werror)
endif()
if(QUIRE_DEBUG)
	target_compile_definitions(quire_flags INTERFACE QUIRE_DEBUG)
endif()

if(QUIRE_SANITIZE STREQUAL "address")
	set(QUIRE_SANITIZE_FLAGS -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
elseif(QUIRE_SANITIZE STREQUAL "thread")
	set(QUIRE_SANITIZE_FLAGS -fsanitize=thread -fno-omit-frame-pointer)
elseif(QUIRE_SANITIZE STREQUAL "fuzz")
	set(QUIRE_SANITIZE_FLAGS -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
	    -fno-omit-frame-pointer)
elseif(NOT QUIRE_SANITIZE STREQUAL "")
	message(FATAL_ERROR "QUIRE_SANITIZE=${QUIRE_SANITIZE}: expected address, thread, fuzz or nothing")
endif()
if(QUIRE_SANITIZE_FLAGS)
	# Instrumented code makes gcc see paths that are not there.
	target_compile_options(quire_flags INTERFACE $<$<C_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
	target_compile_options(quire_flags INTERFACE ${QUIRE_SANITIZE_FLAGS})
	target_link_options(quire_flags INTERFACE ${QUIRE_SANITIZE_FLAGS})
endif()

add_library(quire_flags_core INTERFACE)
target_link_libraries(quire_flags_core INTERFACE quire_flags)
target_compile_options(quire_flags_core INTERFACE -std=c11 -ffreestanding)
if(QUIRE_COVERAGE)
	target_compile_options(quire_flags_core INTERFACE --coverage -fprofile-update=atomic)
	target_link_options(quire_flags INTERFACE --coverage)
endif()

add_library(quire_flags_host INTERFACE)
target_link_libraries(quire_flags_host INTERFACE quire_flags)
target_compile_options(quire_flags_host INTERFACE -std=gnu11)
target_compile_definitions(quire_flags_host INTERFACE _GNU_SOURCE=)

# What whoever includes a public header must agree on with the library.
add_library(quire_interface INTERFACE)
target_include_directories(quire_interface INTERFACE
	$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
if(NOT QUIRE_GEOMETRY EQUAL 0)
	target_compile_definitions(quire_interface INTERFACE QUIRE_GEOMETRY=${QUIRE_GEOMETRY})
endif()
if(QUIRE_SANITIZE STREQUAL "thread")
	target_compile_definitions(quire_interface INTERFACE QUIRE_PORT_OWN_FENCE)
endif()

# A static library may have no source while its part of the tree is not there.
function(quire_sources list)
	if(NOT ${list})
		file(WRITE ${PROJECT_BINARY_DIR}/empty.c "typedef int quire_empty;\n")
		set(${list} ${PROJECT_BINARY_DIR}/empty.c PARENT_SCOPE)
	endif()
endfunction()
