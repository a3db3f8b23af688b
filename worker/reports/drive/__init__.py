"""Reports in Google Drive."""
