"""Builders that lay out the text sources as PDF, DOCX, PPTX and XLSX files."""
