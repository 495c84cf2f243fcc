/* mscms.dll: colour profiles of screens, which wine ends a program for that asks. Each call says that there are none: Qt
   then takes a screen for sRGB, as it does on a machine without profiles. */
#include <windows.h>
#define NONE(name) __declspec(dllexport) LONG_PTR WINAPI name(void) { return 0; }
NONE(CloseColorProfile)
NONE(EnumColorProfilesW)
NONE(GetColorDirectoryW)
NONE(GetColorProfileFromHandle)
NONE(GetColorProfileHeader)
NONE(GetStandardColorSpaceProfileW)
NONE(OpenColorProfileW)
NONE(WcsCreateIccProfile)
NONE(WcsGetDefaultColorProfile)
NONE(WcsGetDefaultColorProfileSize)
NONE(WcsGetUsePerUserProfiles)
NONE(WcsOpenColorProfileW)
