/* icuuc.dll: Windows has ICU since 10 (1703), wine has not. Qt loads it for converters of old encodings; here there are
   none of them (U_FILE_ACCESS_ERROR). */
#define EXPORT __declspec(dllexport)
static void *none(int *error) { if (error) *error = 4; return 0; }
EXPORT void *ucnv_open(const char *name, int *error) { (void)name; return none(error); }
EXPORT void ucnv_close(void *converter) { (void)converter; }
EXPORT void ucnv_reset(void *converter) { (void)converter; }
EXPORT void UCNV_FROM_U_CALLBACK_SUBSTITUTE(void) {}
EXPORT void UCNV_TO_U_CALLBACK_SUBSTITUTE(void) {}
EXPORT signed char ucnv_getMaxCharSize(void *converter) { (void)converter; return 1; }
EXPORT const char *ucnv_getName(void *converter, int *error) { (void)converter; return none(error); }
EXPORT void ucnv_getToUCallBack(void *converter, void *action, void *context) { (void)converter, (void)action, (void)context; }
EXPORT void ucnv_getFromUCallBack(void *converter, void *action, void *context) { (void)converter, (void)action, (void)context; }
EXPORT void ucnv_setToUCallBack(void *c, void *new, void *with, void *old, void *former, int *error) { (void)c, (void)new, (void)with, (void)old, (void)former; none(error); }
EXPORT void ucnv_setFromUCallBack(void *c, void *new, void *with, void *old, void *former, int *error) { (void)c, (void)new, (void)with, (void)old, (void)former; none(error); }
EXPORT void ucnv_cbToUWriteUChars(void) {}
EXPORT void ucnv_cbFromUWriteUChars(void) {}
EXPORT void ucnv_toUnicode(void) {}
EXPORT void ucnv_fromUnicode(void) {}
EXPORT int ucnv_toUCountPending(void *converter, int *error) { (void)converter; none(error); return 0; }
EXPORT int ucnv_fromUCountPending(void *converter, int *error) { (void)converter; none(error); return 0; }
EXPORT const char *ucnv_getStandardName(const char *name, const char *standard, int *error) { (void)name, (void)standard; return none(error); }
EXPORT const char *ucnv_getAvailableName(int number) { (void)number; return 0; }
EXPORT int ucnv_countAvailable(void) { return 0; }
