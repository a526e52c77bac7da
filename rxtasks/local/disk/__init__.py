"""Tasks in a file: SQLite, written by one thread, shared by the processes of one machine.

`TaskState` stays the one owner of what a task is, and its log the one account of it. The journal
writes down what the log has gained, in the order in which it came: so the file holds a prefix of
what the memory holds, at any moment. What was acknowledged has been committed before.

Reports that are to be delivered by webhook are rows as well, taken by one process at a time.

A task whose turns are under way has an owner, the one process that may write its log. Others read
the file, and ask the owner by rows of the table `commands`. An owner that shows no sign of life
loses its tasks to whoever notices first.
"""
