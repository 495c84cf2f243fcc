"""How the window and the tray look and speak: colours, style sheet, icons, languages."""
