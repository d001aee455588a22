#include "growing.h"
void ml_grower_passes(MlGrower *grower) {}
