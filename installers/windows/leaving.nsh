; How a running program leaves, and what happens to one that does not.

!define REMOVED ".kubiya-worker-removed" ; ends the name of a version's folder that is being removed

; Close tray and workers; running turns end first. Sets $restart to 1 where a tray ran (and setup may start it again).
!macro Leave
  ${If} ${FileExists} "$INSTDIR\${TRAY}"
    DetailPrint "$(LEAVING)"
    nsExec::ExecToStack /TIMEOUT=${LEAVE_LIMIT_MS} '"$INSTDIR\${TRAY}" --quit'
    Pop $0
    Pop $1
    !ifndef __UNINSTALL__
      ${GetParameters} $2
      ${GetOptions} $2 "/NORESTART" $3
      ${If} ${Errors}
      ${AndIf} $0 == 0
        StrCpy $restart 1
      ${EndIf}
    !endif
  ${EndIf}
  ${If} ${FileExists} "$INSTDIR\${WORKER}"
    nsExec::ExecToStack /TIMEOUT=${LEAVE_LIMIT_MS} '"$INSTDIR\${WORKER}" stop --all'
    Pop $0
    Pop $1
  ${EndIf}
!macroend

; A program that still runs cannot be replaced, but renamed. One that has just left may be held for a moment longer.
!macro RenameOne name
  ${If} ${FileExists} "$INSTDIR\${name}"
    StrCpy $0 0
    ${Do}
      ClearErrors
      Delete "$INSTDIR\${name}"
      ${IfNot} ${Errors}
        ${ExitDo}
      ${EndIf}
      IntOp $0 $0 + 1
      ${If} $0 > 100
        System::Call "kernel32::GetTickCount()i.r0"
        Rename "$INSTDIR\${name}" "$INSTDIR\${name}.$0.replaced"
        ${ExitDo}
      ${EndIf}
      Sleep 100
    ${Loop}
  ${EndIf}
!macroend

; Windows renames no folder in which a file is held (by a program that is just ending, by a virus scanner), so that what is
; in use stays whole; and a folder that has its new name is known by it, whatever could not be removed of it.
!macro RemoveVersion name
  StrCpy $2 0
  ${Do}
    ClearErrors
    Rename "$INSTDIR\${name}" "$INSTDIR\${name}${REMOVED}"
    ${IfNot} ${Errors}
      RMDir /r "$INSTDIR\${name}${REMOVED}"
      ${ExitDo}
    ${EndIf}
    IntOp $2 $2 + 1
    ${If} $2 > 100
      ${ExitDo}
    ${EndIf}
    Sleep 100
  ${Loop}
!macroend

!macro RenameWhatRuns
  Delete "$INSTDIR\*.replaced" ; those of before, where they have ended
  !insertmacro RenameOne "${TRAY}"
  !insertmacro RenameOne "${WORKER}"
  !insertmacro RenameOne "kubiya-python.exe"
!macroend

; Folders of other versions are ours where they hold our package. Where one still runs, it stays whole and goes later.
!macro RemoveOtherVersions
  ${If} ${FileExists} "$INSTDIR\*.replaced"
    DetailPrint "$(STILL_RUNS)"
  ${Else}
    FindFirst $0 $1 "$INSTDIR\*"
    ${DoWhile} $1 != ""
      StrLen $2 "${REMOVED}"
      StrCpy $2 $1 "" -$2
      ${If} $1 != "."
      ${AndIf} $1 != ".."
      ${AndIf} $1 != "${CONTENTS}"
      ${AndIf} $2 != "${REMOVED}"
      ${AndIf} ${FileExists} "$INSTDIR\$1\${OURS}"
        !insertmacro RemoveVersion "$1"
      ${EndIf}
      FindNext $0 $1
    ${Loop}
    FindClose $0
    FindFirst $0 $1 "$INSTDIR\*${REMOVED}" ; of an earlier setup, where something was held
    ${DoWhile} $1 != ""
      RMDir /r "$INSTDIR\$1"
      FindNext $0 $1
    ${Loop}
    FindClose $0
  ${EndIf}
!macroend
