; Setup of one user, without administrator's rights. Compiled by installers/windows/build.py, which hands in VERSION,
; NUMBERS (four), TARGET, CONTENTS (the folder of this version), OURS (a file by which one is known), OUTPUT, ICON and WORK
; (with files.nsh: what is installed), and FAST where nothing is to be compressed.
;
;   setup.exe [/S] [/AUTOSTART] [/NORESTART] [/D=FOLDER]     /D comes last, without quotes, as NSIS wants it
;   uninstall.exe [/S] [/PURGE]
;
; /S asks and shows nothing. /AUTOSTART: begin with the tray at login. /NORESTART: do not start a tray again that ran.
; /PURGE: remove settings, logs, workspaces and the key as well.
;
; A running program is closed first, and its running turns end before it leaves. What does not leave in time goes on: its
; programs are renamed (Windows lets no running one be replaced), and what they read stands in the folder of their own
; version, which a later setup or the uninstaller removes.
Unicode true
Target ${TARGET}
ManifestDPIAware true
ManifestSupportedOS Win10
RequestExecutionLevel user
!ifdef FAST
  SetCompress off
!else
  SetCompressor /SOLID lzma
  SetCompressorDictSize 64
!endif
SetDateSave off

!include "MUI2.nsh"
!include "FileFunc.nsh"
!include "LogicLib.nsh"
!include "WinVer.nsh"
!include "Win\COM.nsh"
!include "Win\Propkey.nsh"

!define NAME "Kubiya Worker"
!define APP_ID "ai.kubiya.worker"
!define RUN_VALUE "KubiyaWorker"
!define TRAY "kubiya-worker-desktop.exe"
!define WORKER "kubiya-worker.exe"
!define UNINSTALL "Software\Microsoft\Windows\CurrentVersion\Uninstall\${APP_ID}"
!define APP_PATHS "Software\Microsoft\Windows\CurrentVersion\App Paths"
!define RUN "Software\Microsoft\Windows\CurrentVersion\Run"
!define APPROVED "Software\Microsoft\Windows\CurrentVersion\Explorer\StartupApproved\Run"
!define LEAVE_LIMIT_MS 330000 ; the worker's own limit of a drain, 5 min, and its signing off

Name "${NAME}"
OutFile "${OUTPUT}"
InstallDir "$LOCALAPPDATA\Programs\Kubiya Worker"
InstallDirRegKey HKCU "${UNINSTALL}" "InstallLocation"
BrandingText "${NAME} ${VERSION}"
ShowInstDetails nevershow
ShowUninstDetails nevershow
VIProductVersion "${NUMBERS}"
VIFileVersion "${NUMBERS}"
VIAddVersionKey "ProductName" "${NAME}"
VIAddVersionKey "ProductVersion" "${VERSION}"
VIAddVersionKey "FileVersion" "${VERSION}"
VIAddVersionKey "FileDescription" "Setup of ${NAME}"
VIAddVersionKey "CompanyName" "Kubiya"
VIAddVersionKey "LegalCopyright" "Kubiya"

!define MUI_ICON "${ICON}"
!define MUI_UNICON "${ICON}"
!define MUI_ABORTWARNING
!define MUI_FINISHPAGE_RUN "$INSTDIR\${TRAY}"
!insertmacro MUI_PAGE_DIRECTORY
!define MUI_COMPONENTSPAGE_NODESC
!insertmacro MUI_PAGE_COMPONENTS
!insertmacro MUI_PAGE_INSTFILES
!insertmacro MUI_PAGE_FINISH
!insertmacro MUI_UNPAGE_CONFIRM
!insertmacro MUI_UNPAGE_COMPONENTS
!insertmacro MUI_UNPAGE_INSTFILES
!insertmacro MUI_LANGUAGE "English"
!insertmacro MUI_LANGUAGE "German"
!insertmacro MUI_LANGUAGE "Spanish"
!insertmacro MUI_LANGUAGE "French"
!insertmacro MUI_LANGUAGE "Japanese"
!include "texts.nsh"
!include "leaving.nsh"
!include "shortcut.nsh"

Var restart

Section "${NAME}" SectionProgram
  SectionIn RO
  !insertmacro Leave
  !insertmacro RenameWhatRuns
  !insertmacro RemoveOtherVersions
  !include "${WORK}\files.nsh"
  SetOutPath "$INSTDIR"
  WriteUninstaller "$INSTDIR\uninstall.exe"
  WriteRegStr HKCU "${APP_PATHS}\${WORKER}" "" "$INSTDIR\${WORKER}"
  WriteRegStr HKCU "${APP_PATHS}\${TRAY}" "" "$INSTDIR\${TRAY}"
  WriteRegStr HKCU "${UNINSTALL}" "DisplayName" "${NAME}"
  WriteRegStr HKCU "${UNINSTALL}" "DisplayVersion" "${VERSION}"
  WriteRegStr HKCU "${UNINSTALL}" "Publisher" "Kubiya"
  WriteRegStr HKCU "${UNINSTALL}" "DisplayIcon" "$INSTDIR\${TRAY}"
  WriteRegStr HKCU "${UNINSTALL}" "InstallLocation" "$INSTDIR"
  WriteRegStr HKCU "${UNINSTALL}" "UninstallString" '"$INSTDIR\uninstall.exe"'
  WriteRegStr HKCU "${UNINSTALL}" "QuietUninstallString" '"$INSTDIR\uninstall.exe" /S'
  WriteRegDWORD HKCU "${UNINSTALL}" "NoModify" 1
  WriteRegDWORD HKCU "${UNINSTALL}" "NoRepair" 1
  ${GetSize} "$INSTDIR" "/S=0K" $0 $1 $2
  IntFmt $0 "0x%08X" $0
  WriteRegDWORD HKCU "${UNINSTALL}" "EstimatedSize" "$0"
SectionEnd

Section "$(IN_START_MENU)" SectionMenu
  CreateShortCut "$SMPROGRAMS\${NAME}.lnk" "$INSTDIR\${TRAY}"
  !insertmacro GiveIdentity "$SMPROGRAMS\${NAME}.lnk"
SectionEnd

Section /o "$(AT_LOGIN)" SectionLogin
  ; As the window's own switch writes it.
  WriteRegStr HKCU "${RUN}" "${RUN_VALUE}" '"$INSTDIR\${TRAY}" --at-login'
SectionEnd

Section "-Tray again"
  ${If} $restart == 1
    Exec '"$INSTDIR\${TRAY}" --at-login'
  ${EndIf}
SectionEnd

Section "un.${NAME}" SectionRemove
  SectionIn RO
  !insertmacro Leave
SectionEnd

Section /o "un.$(ITS_DATA)" SectionData
  nsExec::ExecToStack /TIMEOUT=60000 '"$INSTDIR\${WORKER}" purge --yes'
  Pop $0
  Pop $1
  ${If} $0 != 0
    MessageBox MB_OK|MB_ICONEXCLAMATION "$(DATA_STAYED)$\n$\n$1" /SD IDOK
    SetErrorLevel 7
  ${EndIf}
SectionEnd

Section "un.-Files"
  !insertmacro RenameWhatRuns
  Delete "$INSTDIR\*.replaced"
  !include "${WORK}\folders.nsh"
  !insertmacro RemoveOtherVersions
  Delete "$INSTDIR\uninstall.exe"
  RMDir "$INSTDIR"
  Delete "$SMPROGRAMS\${NAME}.lnk"
  DeleteRegKey HKCU "${APP_PATHS}\${WORKER}"
  DeleteRegKey HKCU "${APP_PATHS}\${TRAY}"
  DeleteRegKey HKCU "${UNINSTALL}"
  ; What was made to hold ours, where it holds nothing else.
  DeleteRegKey /ifempty HKCU "${APP_PATHS}"
  DeleteRegKey /ifempty HKCU "Software\Microsoft\Windows\CurrentVersion\Uninstall"
  RMDir "$LOCALAPPDATA\Programs"
  ReadRegStr $0 HKCU "${RUN}" "${RUN_VALUE}"
  StrLen $1 '"$INSTDIR\'
  StrCpy $2 $0 $1
  StrCpy $3 '"$INSTDIR\'
  ${If} $2 == $3 ; of this folder, and not of one that runs from elsewhere
    DeleteRegValue HKCU "${RUN}" "${RUN_VALUE}"
    DeleteRegValue HKCU "${APPROVED}" "${RUN_VALUE}"
  ${EndIf}
SectionEnd

Function .onInit
  ${IfNot} ${AtLeastWin10}
    MessageBox MB_OK|MB_ICONSTOP "$(TOO_OLD)" /SD IDOK
    SetErrorLevel 3
    Abort
  ${EndIf}
  StrCpy $restart 0
  ${GetParameters} $0
  ${GetOptions} $0 "/AUTOSTART" $1
  ${IfNot} ${Errors}
    !insertmacro SelectSection ${SectionLogin}
  ${EndIf}
FunctionEnd

Function un.onInit
  ${GetParameters} $0
  ${GetOptions} $0 "/PURGE" $1
  ${IfNot} ${Errors}
    !insertmacro SelectSection ${SectionData}
  ${EndIf}
FunctionEnd
