/*
 * Runs in a guest: waits for three updates of /dev/rtc0, one second apart.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <fcntl.h>
#include <linux/rtc.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

int main(void)
{
    struct rtc_time before, after;
    unsigned long events = 0;
    int fd = open("/dev/rtc0", O_RDONLY);

    alarm(20);
    if (fd < 0 || ioctl(fd, RTC_UIE_ON) || ioctl(fd, RTC_RD_TIME, &before)) {
        perror("/dev/rtc0");
        return 1;
    }
    for (int i = 0; i < 3; i++) {
        if (read(fd, &events, sizeof(events)) != sizeof(events)) {
            perror("read");
            return 1;
        }
    }
    if (ioctl(fd, RTC_RD_TIME, &after) || ioctl(fd, RTC_UIE_OFF)) {
        perror("ioctl");
        return 1;
    }
    printf("waited %d\n", (after.tm_sec - before.tm_sec + 60) % 60);
    return 0;
}
