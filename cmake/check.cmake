# The check machine: the core once more for each geometry, its accesses intercepted by the compiler
# (-fsanitize=thread), linked not to libtsan but to machines/check/. One executable a geometry, which
# `quire check` runs; nothing but the core and the test programs is instrumented.

file(GLOB QUIRE_CHECK_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/machines/check/*.c
	${PROJECT_SOURCE_DIR}/machines/coroutine/*.c ${PROJECT_SOURCE_DIR}/machines/coroutine/*.S)
enable_language(ASM)

# What does not know of Quire: search, memory models, races. For tests and for the workers.
set(QUIRE_ENGINE_SOURCES ${QUIRE_CHECK_SOURCES})
list(FILTER QUIRE_ENGINE_SOURCES INCLUDE REGEX "/(engine|conflicts|explore|interrupts|optimal|bounded|random|coroutine|milestone|image|witness|memory|weak|tso|race|clock|tsan|commute|lines)[^/]*$")
set(QUIRE_CHECKER_SOURCES ${QUIRE_CHECK_SOURCES})
list(REMOVE_ITEM QUIRE_CHECKER_SOURCES ${QUIRE_ENGINE_SOURCES})
list(APPEND QUIRE_CHECKER_SOURCES ${PROJECT_SOURCE_DIR}/machines/softmmu/walk.c
	${PROJECT_SOURCE_DIR}/machines/lockorder/lockorder.c
	${PROJECT_SOURCE_DIR}/machines/safeguards/safeguards.c)

add_library(quire_engine STATIC ${QUIRE_ENGINE_SOURCES})
target_include_directories(quire_engine PUBLIC ${PROJECT_SOURCE_DIR})
# What follows an atomic addition is decoded, to see whether its result is used.
find_library(QUIRE_ZYDIS Zydis REQUIRED)
# Workers read their own debug information, to call what stands at an address by its name.
pkg_check_modules(libdw REQUIRED IMPORTED_TARGET libdw)
target_link_libraries(quire_engine PRIVATE quire_flags_host PUBLIC ${QUIRE_ZYDIS})
target_compile_options(quire_engine PRIVATE -O2)

# Instrumented code, linked to our own runtime: the flag is for compiling only. Freestanding, because a hosted memset()
# may become instructions that nobody is told of. clang would leave out the read of x += 1, which must be announced
# before it happens.
add_library(quire_instrumented INTERFACE)
target_compile_options(quire_instrumented INTERFACE -fsanitize=thread -ffreestanding -O1 -g -fno-omit-frame-pointer
	"$<$<C_COMPILER_ID:Clang>:SHELL:-mllvm -tsan-instrument-read-before-write=1>"
	$<$<C_COMPILER_ID:GNU>:-Wno-tsan> $<$<C_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
target_compile_definitions(quire_instrumented INTERFACE QUIRE_CHECKED QUIRE_PORT_OWN_FENCE QUIRE_PORT_OWN_SPIN)

# The objects of @target as one, whose copies and fills of memory are seen too: compilers make calls of memcpy() out of
# copies of structs, and not all of them let that be called by another name.
function(quire_redirect target object)
	add_custom_command(
		OUTPUT ${object}
		COMMAND ${CMAKE_LINKER} -r -o ${object} $<TARGET_OBJECTS:${target}>
		COMMAND ${CMAKE_OBJCOPY} --redefine-sym memcpy=__tsan_memcpy --redefine-sym memmove=__tsan_memmove
			--redefine-sym memset=__tsan_memset ${object}
		DEPENDS ${target} $<TARGET_OBJECTS:${target}>
		COMMENT "Redirecting the copies of ${target}"
		COMMAND_EXPAND_LISTS VERBATIM)
	set_source_files_properties(${object} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
endfunction()

# rwlock.c of the check machine takes the place of core/base/sync.c: a sleeping lock is one of the port's waits.
set(QUIRE_CHECKED_CORE ${QUIRE_CORE_SOURCES})
list(FILTER QUIRE_CHECKED_CORE EXCLUDE REGEX "/base/sync\\.c$")

file(GLOB QUIRE_WORKER_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/lab/check/worker/*.c ${PROJECT_SOURCE_DIR}/lab/source.c
	${PROJECT_SOURCE_DIR}/lab/check/litmus/*.c ${PROJECT_SOURCE_DIR}/lab/check/fuzz/*.c)

# The same for the processes of an MPI job: lab/check/worker/mpi/main.c, and of the command what makes the report.
option(QUIRE_MPI "Build quire-check-mpi-GEOMETRY (needs MPI)" OFF)
if(QUIRE_MPI)
	find_package(MPI COMPONENTS C)
	if(NOT MPI_C_FOUND)
		message(WARNING "QUIRE_MPI: there is no MPI here; quire-check-mpi-* are not built")
	endif()
endif()

function(quire_mpi_checker name definitions core)
	set(sources ${QUIRE_WORKER_SOURCES} ${PROJECT_SOURCE_DIR}/lab/check/worker/mpi/main.c)
	list(FILTER sources EXCLUDE REGEX "/worker/(main|fuzz|trial|shrink)\\.c$")
	foreach(part merge circles report verdict steps columns)
		list(APPEND sources ${PROJECT_SOURCE_DIR}/lab/check/${part}.c)
	endforeach()
	add_executable(quire-check-mpi-${name} ${sources} ${core} $<TARGET_OBJECTS:quire_checker_${name}>)
	add_dependencies(quire-check-mpi-${name} quire-check-${name})
	target_include_directories(quire-check-mpi-${name} PRIVATE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}
		${PROJECT_SOURCE_DIR}/lab)
	target_compile_definitions(quire-check-mpi-${name} PRIVATE ${definitions} QUIRE_DEBUG
		QUIRE_VERSION="${PROJECT_VERSION}" QUIRE_GEOMETRY_NAME="${name}")
	target_link_libraries(quire-check-mpi-${name} PRIVATE quire_flags_host quire_engine PkgConfig::jansson
		PkgConfig::libdw MPI::MPI_C -no-pie)
	target_compile_options(quire-check-mpi-${name} PRIVATE -O2)
endfunction()

function(quire_checker name geometry)
	set(definitions QUIRE_GEOMETRY=${geometry} QUIRE_CHECKED QUIRE_PORT_OWN_FENCE QUIRE_PORT_OWN_SPIN)
	add_library(quire_core_${name} OBJECT ${QUIRE_CHECKED_CORE})
	target_include_directories(quire_core_${name} PRIVATE ${PROJECT_SOURCE_DIR}/include)
	target_compile_options(quire_core_${name} PRIVATE -Wall -Wextra -std=c11 -ffreestanding)
	target_compile_definitions(quire_core_${name} PRIVATE ${definitions} QUIRE_DEBUG)
	target_link_libraries(quire_core_${name} PRIVATE quire_instrumented)
	add_library(quire_checker_${name} OBJECT ${QUIRE_CHECKER_SOURCES})
	target_include_directories(quire_checker_${name} PRIVATE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR})
	target_compile_definitions(quire_checker_${name} PRIVATE ${definitions} QUIRE_DEBUG)
	target_link_libraries(quire_checker_${name} PRIVATE quire_flags_host)
	target_compile_options(quire_checker_${name} PRIVATE -O2)
	if(QUIRE_WORKER_SOURCES)
		set(core ${PROJECT_BINARY_DIR}/quire_core_${name}.o)
		quire_redirect(quire_core_${name} ${core})
		add_executable(quire-check-${name} ${QUIRE_WORKER_SOURCES} ${core}
			$<TARGET_OBJECTS:quire_checker_${name}>)
		target_include_directories(quire-check-${name} PRIVATE ${PROJECT_SOURCE_DIR}/include
			${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/lab)
		target_compile_definitions(quire-check-${name} PRIVATE ${definitions} QUIRE_DEBUG
			QUIRE_VERSION="${PROJECT_VERSION}" QUIRE_GEOMETRY_NAME="${name}")
		target_link_libraries(quire-check-${name} PRIVATE quire_flags_host quire_engine PkgConfig::jansson
			PkgConfig::libdw -no-pie)
		target_compile_options(quire-check-${name} PRIVATE -O2)
		if(TARGET MPI::MPI_C)
			quire_mpi_checker(${name} "${definitions}" ${core})
		endif()
	endif()
endfunction()

quire_checker(mini 1)
quire_checker(four 2)
quire_checker(full 0)
