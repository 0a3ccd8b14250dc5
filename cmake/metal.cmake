# The metal machine: the core's sources once more, compiled as a kernel wants them, and machines/metal around
# them: the ELF file build/quire-kernel, which `quire boot` hands to QEMU. And once more for tests,
# build/quire-test-kernel: with the core's invariants checked, its safeguards switches, and tests of tests/unit
# inside.

enable_language(ASM)
file(GLOB QUIRE_METAL_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/machines/metal/*.c
	${PROJECT_SOURCE_DIR}/machines/metal/*.S)
set(metal ${PROJECT_SOURCE_DIR}/machines/metal)

# No vector registers, which are the program's; no red zone, which an interrupt would write over; the top 2 GiB.
add_library(quire_flags_metal INTERFACE)
target_compile_options(quire_flags_metal INTERFACE -Wall -Wextra -Wvla -fno-common -ffreestanding -O2 -g -fno-pic
	-fno-pie -mno-red-zone -mcmodel=kernel -mgeneral-regs-only -fno-stack-protector -fno-asynchronous-unwind-tables
	-fcf-protection=none -fno-strict-aliasing)
if(QUIRE_WERROR)
	target_compile_options(quire_flags_metal INTERFACE -Werror)
endif()
target_compile_definitions(quire_flags_metal INTERFACE QUIRE_PORT_OWN_SPIN)
target_include_directories(quire_flags_metal INTERFACE ${PROJECT_SOURCE_DIR}/include)

set(script ${PROJECT_BINARY_DIR}/kernel.lds)
add_custom_command(
	OUTPUT ${script}
	COMMAND ${CMAKE_C_COMPILER} -E -P -x c -I ${metal} -o ${script} ${metal}/kernel.lds
	DEPENDS ${metal}/kernel.lds ${metal}/layout.h
	COMMENT "Preprocessing the kernel's linker script"
	VERBATIM)
add_custom_target(quire_kernel_script DEPENDS ${script})

# quire_kernel(name definitions visible source...): a kernel of those and of the machine's sources; @visible is
# a pattern of the core's symbols that they see.
function(quire_kernel name definitions visible)
	add_library(${name}_core OBJECT ${QUIRE_CORE_SOURCES})
	target_compile_options(${name}_core PRIVATE -std=c11)
	target_compile_definitions(${name}_core PRIVATE ${definitions})
	target_link_libraries(${name}_core PRIVATE quire_flags_metal)

	# The core in one piece: small functions of one file are put into the others that call them (gcc; a
	# tenth to a quarter of all instructions). As in the library, of the core only quire_* is to be seen.
	set(core ${PROJECT_BINARY_DIR}/${name}_core.o)
	set(link_core ${CMAKE_LINKER} -r)
	if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
		target_compile_options(${name}_core PRIVATE -flto)
		set(link_core ${CMAKE_C_COMPILER} -r -nostdlib -flto=auto -flinker-output=nolto-rel)
	endif()
	add_custom_command(
		OUTPUT ${core}
		COMMAND ${link_core} -o ${core} $<TARGET_OBJECTS:${name}_core>
		COMMAND ${CMAKE_OBJCOPY} --wildcard --keep-global-symbol=${visible} ${core}
		DEPENDS ${name}_core $<TARGET_OBJECTS:${name}_core>
		COMMENT "Linking the core into one object for ${name}"
		COMMAND_EXPAND_LISTS VERBATIM)
	set_source_files_properties(${core} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)

	add_executable(${name} ${QUIRE_METAL_SOURCES} ${ARGN} ${core})
	add_dependencies(${name} quire_kernel_script)
	set_target_properties(${name} PROPERTIES LINK_DEPENDS ${script})
	target_compile_options(${name} PRIVATE $<$<COMPILE_LANGUAGE:C>:-std=gnu11>)
	target_compile_definitions(${name} PRIVATE ${definitions})
	target_link_libraries(${name} PRIVATE quire_flags_metal)
	target_link_options(${name} PRIVATE -nostdlib -static -no-pie -Wl,-T,${script} -Wl,--build-id=none
		-Wl,-z,max-page-size=4096 -Wl,-z,noexecstack)
endfunction()

if(QUIRE_DEBUG)
	quire_kernel(quire-kernel QUIRE_DEBUG quire_*)
else()
	quire_kernel(quire-kernel "" quire_*)
endif()

# Tests of tests/unit that know of the machine only what stage.h, scene.h, land.h and hosted.h say:
# tests/metal/machine.c says it here. Each is included by a file that calls its main() otherwise, and all of
# them are in a list.
set(units maps pages extremes file_mapping failures hardship store store_race table table_move table_race)
file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/metal/*.c)
list(FILTER sources EXCLUDE REGEX "/control\\.c$")
set(list "#include \"tests/metal/tests.h\"\n")
set(mains)
set(units_with_arguments stress)
foreach(unit control ${units} ${units_with_arguments})
	set(path ${PROJECT_SOURCE_DIR}/tests/unit/test_${unit}.c)
	if(unit STREQUAL control)
		set(path ${PROJECT_SOURCE_DIR}/tests/metal/control.c)
	endif()
	set(source ${PROJECT_BINARY_DIR}/metal_test_${unit}.c)
	set(content "#define main tests_${unit}\n#include \"${path}\"\n")
	if(unit IN_LIST units_with_arguments)
		set(content "#define main main_${unit}\n#include \"${path}\"\n"
			"int tests_${unit}(void)\n{\n\treturn main_${unit}(0, NULL)\;\n}\n")
		list(JOIN content "" content)
	endif()
	file(CONFIGURE OUTPUT ${source} CONTENT "${content}" @ONLY)
	list(APPEND sources ${source})
	list(APPEND mains tests_${unit})
	string(APPEND list "int tests_${unit}(void);\n")
endforeach()
list(LENGTH mains count)
list(JOIN mains ", " mains)
string(APPEND list "int (*const tests_all[])(void) = { ${mains} };\nconst unsigned tests_count = ${count};\n")
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/metal_tests.c CONTENT "${list}" @ONLY)
foreach(name stage scene land disk)
	list(APPEND sources ${PROJECT_SOURCE_DIR}/tests/support/${name}.c)
endforeach()
set(definitions QUIRE_DEBUG QUIRE_CHECKED STACK_BYTES=65536 HANG_SECONDS=600 QUIRE_TEST_ROUNDS=12000
	QUIRE_TEST_CPUS=4)
quire_kernel(quire-test-kernel "${definitions}" *
	${PROJECT_SOURCE_DIR}/machines/safeguards/safeguards.c ${PROJECT_BINARY_DIR}/metal_tests.c ${sources})
target_include_directories(quire-test-kernel PRIVATE ${PROJECT_SOURCE_DIR}/tests/metal/include
	${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/tests/support)
target_link_options(quire-test-kernel PRIVATE -Wl,--wrap=quire_port_alloc -Wl,--wrap=quire_port_copy
	-Wl,--wrap=quire_port_wait -Wl,--wrap=quire_port_rcu_barrier)

# bench/metal/run boots it on this kernel and on Linux.
add_executable(metal-ops ${PROJECT_SOURCE_DIR}/bench/metal/ops.c)
target_compile_options(metal-ops PRIVATE -std=gnu11 -O2 -Wall -Wextra)
if(QUIRE_WERROR)
	target_compile_options(metal-ops PRIVATE -Werror)
endif()
target_link_options(metal-ops PRIVATE -static)
