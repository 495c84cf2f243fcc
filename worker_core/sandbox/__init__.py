"""Where tools run: workspaces, process trees and the walls around them. One file per mechanism."""
