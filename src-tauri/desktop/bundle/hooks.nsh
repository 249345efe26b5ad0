; Links deskgrid://job/... open the app. Written for the person who installs, and taken away with the program.

!macro NSIS_HOOK_POSTINSTALL
  WriteRegStr HKCU "Software\Classes\deskgrid" "" "URL:Deskgrid"
  WriteRegStr HKCU "Software\Classes\deskgrid" "URL Protocol" ""
  WriteRegStr HKCU "Software\Classes\deskgrid\DefaultIcon" "" "$INSTDIR\deskgrid-desktop.exe,0"
  WriteRegStr HKCU "Software\Classes\deskgrid\shell\open\command" "" '"$INSTDIR\deskgrid-desktop.exe" "%1"'
!macroend

!macro NSIS_HOOK_POSTUNINSTALL
  DeleteRegKey HKCU "Software\Classes\deskgrid"
  DeleteRegValue HKCU "Software\Microsoft\Windows\CurrentVersion\Run" "Deskgrid"
!macroend
