"""A run for its reader: pictures in its folder, and report.html, a page that needs nothing else. Made without torch."""
