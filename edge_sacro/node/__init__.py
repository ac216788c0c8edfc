"""The node: receives radiographs, assesses them and sends the results on, and loses none of them.

The promise: an acknowledged instance is on stable storage and ends in exactly one visible state, delivered, refused or
quarantined; its results are delivered at least once, each time as the same bytes under the same UID. ``spool`` holds
the files, ``store`` the queue; whatever else runs here may be killed at any moment.
"""
