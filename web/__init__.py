"""The web page of app.py: server, checks of uploads, queue, and the page's files. Needs requirements-app.txt."""
