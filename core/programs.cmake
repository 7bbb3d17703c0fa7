# SPDX-License-Identifier: Apache-2.0
#
# The programs.
file(GLOB sources CONFIGURE_DEPENDS *.c)
add_executable(acme-agent ${sources})
target_include_directories(acme-agent PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
target_link_libraries(acme-agent PRIVATE core_control core_renew core_segment)
set_target_properties(acme-agent PROPERTIES
	RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
install(TARGETS acme-agent RUNTIME DESTINATION ${CMAKE_INSTALL_SBINDIR})

file(GLOB sources CONFIGURE_DEPENDS ctl/*.c)
add_executable(acmectl ${sources})
target_include_directories(acmectl PRIVATE ${PROJECT_SOURCE_DIR}/include)
target_link_libraries(acmectl PRIVATE core_base core_conf
	PkgConfig::JANSSON acme-agent::kit)
set_target_properties(acmectl PROPERTIES
	RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
install(TARGETS acmectl RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
