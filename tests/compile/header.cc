// The header can be used from C++17: functions and types, so far.
#include <thornback.h>
int main()
{
    return tb_ref_is_null(tb_ref{0, 0}) && tb_value_bool_(true).type == TB_BOOL ? 0 : 1;
}
