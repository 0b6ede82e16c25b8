# usage: cmake -DSOURCE=folder -DCLONE=folder -DTAG=name -P clone.cmake
#
# A clone of SOURCE's last commit, tagged: what a release's FetchContent finds.
find_package(Git REQUIRED)
file(REMOVE_RECURSE ${CLONE})
execute_process(COMMAND ${GIT_EXECUTABLE} clone --quiet --no-tags ${SOURCE} ${CLONE} COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${GIT_EXECUTABLE} -C ${CLONE} tag ${TAG} COMMAND_ERROR_IS_FATAL ANY)
