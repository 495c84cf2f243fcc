; Wine's shortcuts keep no properties, but it has stores of them in memory: gives one our identity, and writes what it then
; holds into a file. Compiled with SHORTCUT (installers/windows/shortcut.nsh) and OUTPUT.
Unicode true
Target amd64-unicode
RequestExecutionLevel user
SilentInstall silent
OutFile "${OUTPUT}"
!define APP_ID "ai.kubiya.worker"
!include "LogicLib.nsh"
!include "Win\COM.nsh"
!include "Win\Propkey.nsh"
!include "${SHORTCUT}"

Section
  System::Call 'propsys::PSCreateMemoryPropertyStore(g "${IID_IPropertyStore}", *p 0 r2)i.r0'
  FileOpen $9 "$TEMP\identity.txt" w
  FileWrite $9 "store $0$\r$\n"
  !insertmacro SetIdentity
  FileWrite $9 "set $6 commit $7$\r$\n"
  System::Call '*${SYSSTRUCT_PROPERTYKEY}(${PKEY_AppUserModel_ID})p.r4'
  System::Call '*${SYSSTRUCT_PROPVARIANT}p.r5'
  ${IPropertyStore::GetValue} $2 '(r4,r5).r6'
  System::Call '*$5(&i2.r0,&i6,w.r1)'
  FileWrite $9 "type $0 value $1$\r$\n"
  FileClose $9
SectionEnd
