; The identity of a shortcut (System.AppUserModel.ID): the one that the program's windows name, so that they stand together in
; the taskbar and its notifications have its name and icon. By the documented interfaces IShellLink and IPropertyStore.

; Give the store in $2 (an IPropertyStore) our identity. Uses $3 to $5; SetValue and Commit leave what they say in $6 and $7.
!macro SetIdentity
  System::Call 'Oleaut32::SysAllocString(w "${APP_ID}")p.r3'
  System::Call '*${SYSSTRUCT_PROPERTYKEY}(${PKEY_AppUserModel_ID})p.r4'
  System::Call '*${SYSSTRUCT_PROPVARIANT}(${VT_LPWSTR},,p r3)p.r5'
  ${IPropertyStore::SetValue} $2 '(r4,r5).r6'
  ${IPropertyStore::Commit} $2 '().r7'
  System::Call 'Oleaut32::SysFreeString(p r3)'
  System::Free $4
  System::Free $5
!macroend

!macro GiveIdentity file
  !insertmacro ComHlpr_CreateInProcInstance ${CLSID_ShellLink} ${IID_IShellLink} r0 ""
  ${If} $0 P<> 0
    ${IUnknown::QueryInterface} $0 '("${IID_IPersistFile}",.r1)'
    ${If} $1 P<> 0
      ${IPersistFile::Load} $1 '("${file}",${STGM_READWRITE})'
      ${IUnknown::QueryInterface} $0 '("${IID_IPropertyStore}",.r2)'
      ${If} $2 P<> 0
        !insertmacro SetIdentity
        ${IUnknown::Release} $2 ""
        ${IPersistFile::Save} $1 '("${file}",1)'
      ${EndIf}
      ${IUnknown::Release} $1 ""
    ${EndIf}
    ${IUnknown::Release} $0 ""
  ${EndIf}
!macroend
