/* pdh.dll: performance counters, of which wine lacks some. Each call says that there is no data (PDH_CSTATUS_NO_OBJECT).
   Temporal's SDK and psutil ask for them and do without. */
#include <windows.h>
#define NONE(name) __declspec(dllexport) LONG WINAPI name(void) { return (LONG)0xC0000BB8; }
NONE(PdhAddEnglishCounterW)
NONE(PdhCloseQuery)
NONE(PdhCollectQueryData)
NONE(PdhCollectQueryDataEx)
NONE(PdhEnumObjectsW)
NONE(PdhGetFormattedCounterValue)
NONE(PdhOpenQueryW)
NONE(PdhRemoveCounter)
