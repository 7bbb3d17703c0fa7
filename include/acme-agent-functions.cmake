# SPDX-License-Identifier: Apache-2.0
#
# acme_agent_plugin(NAME sources...): NAME.so as the agent wants it. Nothing is
# exported but what ACME_EXPORT marks, and nothing may be left undefined: a
# plugin imports nothing from the agent.
function(acme_agent_plugin name)
	add_library(${name} MODULE ${ARGN})
	target_link_libraries(${name} PRIVATE acme-agent::plugin)
	set_target_properties(${name} PROPERTIES
		PREFIX "" OUTPUT_NAME ${name} SUFFIX .so
		C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden
		VISIBILITY_INLINES_HIDDEN ON)
	target_link_options(${name} PRIVATE -Wl,--exclude-libs,ALL)
	# clang leaves the sanitizers' symbols to the program
	if(NOT (CMAKE_C_COMPILER_ID MATCHES Clang AND ACME_SANITIZE))
		target_link_options(${name} PRIVATE -Wl,-z,defs)
	endif()
endfunction()
