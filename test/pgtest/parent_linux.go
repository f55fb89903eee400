package pgtest

import (
	"os/exec"
	"syscall"
)

// endWithParent lets the kernel end the command when this thread ends.
func endWithParent(cmd *exec.Cmd) { cmd.SysProcAttr.Pdeathsig = syscall.SIGQUIT }
