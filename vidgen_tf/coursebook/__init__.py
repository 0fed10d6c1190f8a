"""The notebooks as files of a clone: executed, refreshed, shown as pages, handed out to students. It imports no model.

notebook   find, read and write them; what a source cell shows
execute    run them into a folder of results, none twice from the same sources
pages      an executed notebook as a web page; gallery: all of them on one
refresh    make them fit to be committed
student    the versions without solutions, and the copies of them that a student works in
check      grades such a copy, by what dependencies reads off the code: what an answer needs of the cells above it
programs   JupyterLab, the linter and pytest over all of it
"""
