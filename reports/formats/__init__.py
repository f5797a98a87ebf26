"""How a report is written: Markdown, HTML, LaTeX."""
