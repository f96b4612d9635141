"""
A batch's memory, and the door for journals of one's own.
"""
